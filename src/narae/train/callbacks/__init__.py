"""What can take part in training: one class a file."""
