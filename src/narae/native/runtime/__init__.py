"""Running machine code: the processor, compiled code and its cache, tables of calls, threads."""
