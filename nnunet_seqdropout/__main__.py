"""Runs ``python -m nnunet_seqdropout`` as the command ``seqdropout``."""

import sys

from nnunet_seqdropout.cli import main

sys.exit(main())
