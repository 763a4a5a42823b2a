"""From programs to kernels on buffers: what runs together, in which layout, order and memory."""
