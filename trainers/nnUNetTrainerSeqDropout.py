"""Trains nnU-Net's own planned network (2d, 3d_fullres, ResEnc presets) with sequence dropout."""

from nnunet_seqdropout.training import Demo, WithSequenceDropout


class nnUNetTrainerSeqDropout(WithSequenceDropout):
    """nnU-Net's U-Net that segments with any subset of its sequences; checkpoints interchange with nnUNetTrainer."""


class nnUNetTrainerSeqDropout_5epochs(nnUNetTrainerSeqDropout):
    epochs = 5


class nnUNetTrainerSeqDropout_50epochs(nnUNetTrainerSeqDropout):
    epochs = 50


class nnUNetTrainerSeqDropout_250epochs(nnUNetTrainerSeqDropout):
    epochs = 250


class nnUNetTrainerSeqDropout_demo(Demo, nnUNetTrainerSeqDropout):
    """As short as the other demo trainers."""
