"""Loop nests: element-wise work and reductions, as specifications and as machine code."""
