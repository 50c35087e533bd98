"""Extends nnU-Net v2 to segment with missing MRI sequences (Grøvik, Yi et al., npj Digital Medicine 2021)."""

from importlib.metadata import version

__version__ = version("nnunet_seqdropout")
