"""Run the command line: ``python -m microshot``."""

import sys

from microshot.cli import main

sys.exit(main())
