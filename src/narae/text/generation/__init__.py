"""Text from a model, token by token: greedy, by sampling, by beam search."""
