"""`python -m narae` is the command `narae`."""

import sys

from narae.cli import main

sys.exit(main())
