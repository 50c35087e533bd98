"""Trains nnU-Net's own network for as short as our demo trainers, which are compared with it."""

from nnunet_seqdropout.training import ConfiguredTrainer, Demo


class nnUNetTrainer_demo(Demo, ConfiguredTrainer):
    """nnU-Net's U-Net without sequence dropout, trained on as many slices as the other demo trainers."""
