"""Holds what a command does as a process: its exit code, its end, its output folder."""
