"""What came out of a study, gathered from its folders."""

from pathlib import Path


def write_study_report(study, steps) -> Path:
    raise NotImplementedError
