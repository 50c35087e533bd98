"""Runs ``python -m nnunet_seqdropout.cli`` as the command ``seqdropout``."""

import sys

from nnunet_seqdropout.cli.command import main

sys.exit(main())
