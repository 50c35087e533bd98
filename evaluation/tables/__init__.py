"""Builds tables with one row per patient, per lesion or per subset of the sequences, and their averages."""

from evaluation.tables.evaluate import evaluate_folders

__all__ = ["evaluate_folders"]
