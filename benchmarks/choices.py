"""Compares settings of SeqDropoutPlusTrainer: short trainings over several seeds, measured on validation patients.

    python -m benchmarks.choices DATASET WORK_FOLDER [--variants NAME ...] [--seeds 0 1 2] [--epochs 10] [-np 2]

DATASET is planned for 2d and declares its validation patients, such as a phantom of a seed of its own. Every variant
differs from the trainer in one setting and is trained on equally many slices. Each training is one file in WORK_FOLDER,
named after its variant, seed and budget, and is not repeated; what is measured is printed as a table and written to
``choices.csv``. Trainings have one thread each.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name
from numpy.typing import NDArray

from evaluation.metrics.lesion.lesions import find_objects

PATTERNS = ("t1_pre+t1_gd+flair", "t1_gd+flair", "t1_gd")
"""Sequences that the validation patients are measured with: all that Hospital B has, and subsets."""

WITHOUT_CONTRAST = {"t1_pre": 0, "flair": 0, "t1_pre+flair": 0}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as shipped": {},
    "factor: square root": {"rescale": "sqrt"},
    "foreground by lesion": {"forced_foreground": "lesions"},
    "never without contrast": {"subset_law": "weights", "subset_weights": WITHOUT_CONTRAST},
    "warm-up of the dropout": {"dropout_warmup_epochs": 4},
    "decoder to stride 2": {"decoder": (4, 2)},
    "factor: none": {"rescale": "none"},
    "AdamW 0.001": {"learning_rate": 1e-3},
    "warm-up of the learning rate": {"warmup_epochs": 2},
    "SGD 0.01": {"optimizer_type": "sgd", "learning_rate": 0.01},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS], metavar="NAME")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--slices", type=int, default=300, help="per epoch (300)")
    parser.add_argument("--largest-batch", type=int, default=6)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("-np", type=int, default=2)
    arguments = parser.parse_args()
    budget = {
        "epochs": arguments.epochs,
        "slices_per_epoch": arguments.slices,
        "largest_batch": arguments.largest_batch,
        "backbone": arguments.backbone,
        "val_iterations_per_epoch": 1,
    }
    os.environ.update({"nnUNet_n_proc_DA": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    arguments.work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.np, max_tasks_per_child=1) as pool:
        trainings, files = [], []
        for seed, variant in product(arguments.seeds, arguments.variants):
            files.append(file := arguments.work / f"{named(variant, {**budget, 'seed': seed})}.json")
            if not file.is_file():
                own = {**budget, "seed": seed}
                trainings.append(pool.submit(train_and_measure, arguments.dataset, variant, own, file))
        for training in trainings:
            training.result()
    table = pd.concat([pd.DataFrame(json.loads(file.read_text(encoding="utf-8"))) for file in files])
    table.to_csv(arguments.work / "choices.csv", index=False)
    of_seeds = table.groupby(["variant", "pattern", "seed"], sort=False)[["dice", "found", "false"]].mean()
    means = of_seeds.groupby(["variant", "pattern"], sort=False).agg(["mean", "std"])
    print(means.round(3).to_string())


def named(variant: str, budget: Mapping[str, Any]) -> str:
    """What the file of a training is called: another setting or budget gives another name."""
    what = json.dumps([variant, VARIANTS[variant], budget])
    return f"{variant.replace(' ', '_').replace(':', '')}_seed{budget['seed']}_{sha256(what.encode()).hexdigest()[:8]}"


def train_and_measure(dataset: str, variant: str, budget: Mapping[str, Any], file: Path) -> None:
    """Writes a row for each validation patient and each pattern of what the patient has."""
    import torch

    torch.set_num_threads(1)
    trainer = trainer_of(dataset, {**budget, **VARIANTS[variant]}, file.with_suffix(""))
    trainer.run_training()
    rows = [{"variant": variant, "seed": budget["seed"], **row} for row in measured(trainer)]
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    partial.rename(file)


def trainer_of(dataset: str, attributes: Mapping[str, Any], folder: Path) -> Any:
    """SeqDropoutPlusTrainer with these class attributes, for fold 0; its outputs go to ``folder``."""
    import torch

    from nnunet_seqdropout.training.deeplab import DeepLab25DPlus
    from nnunet_seqdropout.training.sequence_dropout import WithSequenceDropout

    preprocessed = Path(nnUNet_preprocessed, maybe_convert_to_dataset_name(dataset))
    plans = {**load_json(str(preprocessed / "nnUNetPlans.json")), "continue_training": False}
    own = type("Variant", (WithSequenceDropout, DeepLab25DPlus), dict(attributes))
    trainer = own(plans, "2d", 0, load_json(str(preprocessed / "dataset.json")), device=torch.device("cpu"))
    trainer.output_folder = trainer.output_folder_base = str(folder)
    trainer.log_file = str(folder / "training_log.txt")
    folder.mkdir(parents=True, exist_ok=True)
    trainer.disable_checkpointing = True
    return trainer


def measured(trainer: Any) -> Iterator[dict[str, Any]]:
    """Dice, lesions found and false objects of each validation patient, with each of ``PATTERNS``."""
    import torch

    trainer.network.eval()
    names = trainer.dataset_json["channel_names"].values()
    _, validation = trainer.get_tr_and_val_datasets()
    for case in validation.identifiers:
        data, segmentation, *_ = validation.load_case(case)
        images, reference = torch.from_numpy(np.asarray(data)).float(), np.asarray(segmentation[0]) > 0
        for pattern in PATTERNS:
            kept = torch.tensor([name in pattern.split("+") for name in names])
            shown = torch.where(kept.view(-1, 1, 1, 1), images, 0)
            with torch.inference_mode():
                predicted = trainer.network(shown[None])[0].argmax(0).numpy() > 0
            yield {"case": case, "pattern": pattern, **agreement(predicted, reference)}


def agreement(predicted: NDArray[np.bool_], reference: NDArray[np.bool_]) -> dict[str, float]:
    lesions, objects = find_objects(reference), find_objects(predicted)
    return {
        "dice": 2.0 * float((predicted & reference).sum()) / max(1, int(predicted.sum() + reference.sum())),
        "found": float((lesions.maxima(predicted) > 0).mean()) if lesions.count else np.nan,
        "false": float((objects.maxima(reference) == 0).sum()),
    }


if __name__ == "__main__":
    main()
