"""nnU-Net's own trainer, as short as our demo trainers: what they are compared with."""

from nnunet_seqdropout.training import ConfiguredTrainer, Demo


class nnUNetTrainer_demo(Demo, ConfiguredTrainer):
    """nnU-Net's U-Net without sequence dropout, trained on as many slices as the other demo trainers."""
