"""Tells whether a process that should have ended is still running."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Nor waiting to be collected by init."""
    status = Path("/proc", str(pid), "stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX"
