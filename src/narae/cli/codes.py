"""What the command ends with."""

OK, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 2, 130, 141
