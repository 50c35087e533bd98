"""Any subset of the sequences, segmented straight from the files that are there."""

from nnunet_seqdropout.prediction.model import Model, Preprocessed, Segmentation, load_model

__all__ = ["Model", "Preprocessed", "Segmentation", "load_model"]
