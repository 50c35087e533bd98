"""Defines the arguments that several sub-commands share, and their parsers."""
