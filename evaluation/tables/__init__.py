"""One row per patient, per lesion, per subset of the sequences, and what is averaged of them."""

from evaluation.tables.evaluate import evaluate_folders

__all__ = ["evaluate_folders"]
