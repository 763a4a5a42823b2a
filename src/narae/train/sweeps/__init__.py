"""Sweeps: runs of one recipe with many settings, side by side, ranked at the end."""
