"""Trains the paper's DropOut model: 2.5D DeepLabV3 with sequence dropout."""

from nnunet_seqdropout.training import DeepLab25D, Demo, WithSequenceDropout


class SeqDropoutTrainer(WithSequenceDropout, DeepLab25D):
    """2.5D DeepLabV3 that segments with any subset of its sequences."""


class SeqDropoutTrainer_5epochs(SeqDropoutTrainer):
    epochs = 5


class SeqDropoutTrainer_50epochs(SeqDropoutTrainer):
    epochs = 50


class SeqDropoutTrainer_250epochs(SeqDropoutTrainer):
    epochs = 250


class SeqDropoutTrainer_demo(Demo, SeqDropoutTrainer):
    backbone = "resnet18"
