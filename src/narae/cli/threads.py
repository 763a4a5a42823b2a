"""One thread for NumPy's matrix products, unless the user has chosen; import this before NumPy.

The products of a small network take less than a millisecond. OpenBLAS's threads wait for each other
in a busy loop, and on a machine with other work that takes a hundred times longer than one thread.
"""

import os

_CHOICES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
if not any(name in os.environ for name in _CHOICES):
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
