"""Trains the paper's baseline: 2.5D DeepLabV3 without sequence dropout."""

from nnunet_seqdropout.training import DeepLab25D, Demo


class DeepLabV3Trainer(DeepLab25D):
    """2.5D DeepLabV3 for exactly the sequences that it was trained on."""


class DeepLabV3Trainer_5epochs(DeepLabV3Trainer):
    epochs = 5


class DeepLabV3Trainer_50epochs(DeepLabV3Trainer):
    epochs = 50


class DeepLabV3Trainer_250epochs(DeepLabV3Trainer):
    epochs = 250


class DeepLabV3Trainer_demo(Demo, DeepLabV3Trainer):
    backbone = "resnet18"
