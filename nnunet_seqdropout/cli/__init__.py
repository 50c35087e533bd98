"""Provides the command ``seqdropout``: one file per group of sub-commands."""

from nnunet_seqdropout.cli.command import main

__all__ = ["main"]
