"""Loads a trained model folder that can predict from any subset of the sequences."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from dataset_conversion.faults import Fault
from nnunet_seqdropout.models.devices import is_available
from nnunet_seqdropout.models.folders import folds_there, require_model_folder
from nnunet_seqdropout.models.networks import load_network
from nnunet_seqdropout.prediction.model import Model


def load_model(
    folder: str | os.PathLike[str],
    *,
    folds: Sequence[int | str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    device: torch.device | str | None = None,
    use_mirroring: bool = True,
    tile_step_size: float = 0.5,
    trust_checkpoint: bool = False,
) -> Model:
    """Loads a model folder (TRAINER__PLANS__CONFIGURATION); folds None: those that are there, as ``folds_there`` says.

    device: None is the CPU.
    trust_checkpoint: see ``load_network``. Raises Fault where the device is not there, or the model is incomplete,
    broken or not to be trusted, is a cascade, or reads images otherwise than with SimpleITK.
    """
    wanted = torch.device(device or "cpu")
    if not is_available(wanted):
        raise Fault(f"this computer has no {wanted}", remedy="Choose the device cpu.")
    folder = require_model_folder(Path(folder))
    remedy = "Select a trained model with -m, or -d, -c, -tr and -p, and its folds with -f."
    chosen = [str(fold) for fold in folds or folds_there(folder, checkpoint)]
    if not chosen:
        raise Fault(f"no fold has the file {checkpoint}", file=folder, remedy=remedy)
    for name in ("plans.json", "dataset.json", *(f"fold_{fold}/{checkpoint}" for fold in chosen)):
        if not (folder / name).is_file():
            raise Fault(f"no file {folder / name}", remedy=remedy)
    trained = load_network(folder, chosen, checkpoint, trust_checkpoint=trust_checkpoint)
    if trained.configuration.previous_stage_name is not None:
        raise Fault("the model is a cascade", file=folder, remedy="Use its first stage, or a 2d or 3d_fullres model.")
    reader = trained.plans.image_reader_writer_class
    if reader is not SimpleITKIO:
        remedy = "Run: seqdropout fill, then nnUNetv2_predict."
        raise Fault(f"the model reads images with {reader.__name__}, not SimpleITKIO", file=folder, remedy=remedy)
    with redirect_stdout(io.StringIO()):  # that a CPU is no GPU
        predictor = nnUNetPredictor(
            tile_step_size=tile_step_size,
            use_mirroring=use_mirroring,
            device=wanted,
            allow_tqdm=False,
        )
    predictor.manual_initialization(
        trained.network,
        trained.plans,
        trained.configuration,
        [each.weights for each in trained.checkpoints],
        trained.dataset_json,
        trained.checkpoints[0].trainer,
        trained.checkpoints[0].mirroring_axes,
    )
    predictor.network.to(predictor.device).eval()
    sha256 = {fold: each.sha256 for fold, each in zip(chosen, trained.checkpoints, strict=True)}
    return Model(predictor, folder, checkpoint, sha256)
