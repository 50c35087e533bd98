"""What type checkers and editors see: __init__.py looks the functions up where they are first used."""

from nnunet_seqdropout.api import Prediction as Prediction
from nnunet_seqdropout.api import convert as convert
from nnunet_seqdropout.api import evaluate_folders as evaluate_folders
from nnunet_seqdropout.api import evaluate_patient as evaluate_patient
from nnunet_seqdropout.api import load_model as load_model
from nnunet_seqdropout.api import predict as predict

__version__: str
