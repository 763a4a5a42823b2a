"""Measured numbers that schedules of products go by."""

PIECE_FLOPS = 1_600_000  # of a piece: about 20 µs of one core
PIECE_ROWS = 8  # of a piece, at least, if the last dimension of rows is cut
# With tiles, by estimate: so many times the work of a piece, its rows, and pieces that are enough.
TILES_SPEED, TILES_ROWS, TILES_PIECES = 8, 32, 4
PIECES = 32  # enough for any thread to find work until the end
READ_FLOPS = 20  # multiply-adds in the time that an element takes from beyond the cache
CACHE = 600_000  # bytes of a core's second-level cache that blocks may fill
PANEL_CACHE = 400_000  # of these, for B
PANEL = 16_384  # bytes of a panel that stays in the first-level cache
LEAST_DEPTH = 128  # terms of a block
PACKED = 1_000_000  # bytes of a block of B that is packed
PACKED_ROWS = 24  # that use a block, from which on packing it is worth while
REUSED = 3  # pieces that read the same far rows of B, from which on it is packed before all
FAR = 1024  # bytes from row to row of B beyond which it is worth packing
