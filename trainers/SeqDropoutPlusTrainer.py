"""Trains 2.5D DeepLabV3+ with sequence dropout: recommended for small lesions."""

from nnunet_seqdropout.training import DeepLab25DPlus, Demo, WithSequenceDropout


class SeqDropoutPlusTrainer(WithSequenceDropout, DeepLab25DPlus):
    """2.5D DeepLabV3+ that segments with any subset of its sequences."""


class SeqDropoutPlusTrainer_5epochs(SeqDropoutPlusTrainer):
    epochs = 5


class SeqDropoutPlusTrainer_50epochs(SeqDropoutPlusTrainer):
    epochs = 50


class SeqDropoutPlusTrainer_250epochs(SeqDropoutPlusTrainer):
    epochs = 250


class SeqDropoutPlusTrainer_demo(Demo, SeqDropoutPlusTrainer):
    backbone = "resnet18"
    learning_rate = 1e-3  # for so short a training: docs/measurements.md
