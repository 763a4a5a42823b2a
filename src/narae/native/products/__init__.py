"""Sums of products: every contraction in one form, and its machine code."""
