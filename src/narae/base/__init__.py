"""Floor 0: what every other floor needs and nothing else: dtypes, shapes, errors, configuration."""
