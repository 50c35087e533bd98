"""Predicts cases with any subset of the sequences, without placeholder files."""

from nnunet_seqdropout.prediction.loading import load_model
from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation

__all__ = ["Model", "Preprocessed", "Segmentation", "load_model"]
