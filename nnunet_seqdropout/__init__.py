"""nnU-Net v2 that goes on working when MRI sequences are missing (Grøvik, Yi et al., npj Digital Medicine 2021)."""

from importlib.metadata import version

__version__ = version("nnunet_seqdropout")
