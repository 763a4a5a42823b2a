"""Weights of other libraries' models of text, by the names of their tensors."""
