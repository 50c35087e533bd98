"""Adapts nnU-Net's trainers by mixins: settings, sequence dropout, 2.5D training, Dice per pattern."""

from nnunet_seqdropout.training.configured import ConfiguredTrainer, Demo
from nnunet_seqdropout.training.deeplab import DeepLab25D, DeepLab25DPlus
from nnunet_seqdropout.training.sequence_dropout import WithSequenceDropout

__all__ = ["ConfiguredTrainer", "DeepLab25D", "DeepLab25DPlus", "Demo", "WithSequenceDropout"]
