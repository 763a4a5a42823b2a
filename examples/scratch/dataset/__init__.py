"""Data for programs that are written from scratch."""
