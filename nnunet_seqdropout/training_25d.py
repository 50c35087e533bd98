"""Redirects from the former place of the 2.5D trainers; see ``nnunet_seqdropout.training``."""

from nnunet_seqdropout.training.deeplab import DeepLab25D, DeepLab25DPlus

__all__ = ["DeepLab25D", "DeepLab25DPlus"]
