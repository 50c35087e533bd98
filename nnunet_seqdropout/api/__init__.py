"""Holds what a program or a notebook calls: on images of SimpleITK or nibabel, and on paths."""

from nnunet_seqdropout.api.conversion import convert
from nnunet_seqdropout.api.evaluation import evaluate_folders, evaluate_patient
from nnunet_seqdropout.api.prediction import Prediction, predict
from nnunet_seqdropout.prediction import load_model

__all__ = ["Prediction", "convert", "evaluate_folders", "evaluate_patient", "load_model", "predict"]
