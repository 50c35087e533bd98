"""Trains 2.5D DeepLabV3+ without sequence dropout."""

from nnunet_seqdropout.training import DeepLab25DPlus, Demo


class DeepLabV3PlusTrainer(DeepLab25DPlus):
    """2.5D DeepLabV3+ for exactly the sequences that it was trained on."""


class DeepLabV3PlusTrainer_5epochs(DeepLabV3PlusTrainer):
    epochs = 5


class DeepLabV3PlusTrainer_50epochs(DeepLabV3PlusTrainer):
    epochs = 50


class DeepLabV3PlusTrainer_250epochs(DeepLabV3PlusTrainer):
    epochs = 250


class DeepLabV3PlusTrainer_demo(Demo, DeepLabV3PlusTrainer):
    backbone = "resnet18"
    learning_rate = 1e-3  # for so short a training: docs/measurements.md
