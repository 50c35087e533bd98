"""Tiny data sets, the environment of nnU-Net's commands, and trainers short enough for a test."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import settings

# a failed claim of this module is shown as one of a test
pytest.register_assert_rewrite("predict_folders")

# a busy machine is no failure
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

PROJECT = Path(__file__).resolve().parent.parent
TRAINERS = PROJECT / "trainers"
SEQUENCES = ("bravo", "t1_pre", "t1_gd", "flair")
TINY_TRAINERS = """
from nnunet_seqdropout.training import ConfiguredTrainer, WithSequenceDropout
from nnunet_seqdropout.training_25d import DeepLab25D, DeepLab25DPlus


class Tiny:
    epochs, iterations_per_epoch, val_iterations_per_epoch, largest_batch = 1, 3, 1, 2
    backbone = "resnet18"


class TinySeqDropout(Tiny, WithSequenceDropout, DeepLab25D):
    pass


class TinySeqDropoutThreeEpochs(TinySeqDropout):
    epochs = 3


class TinyFloat32(TinySeqDropout):
    iterations_per_epoch, largest_batch, bfloat16_on_cpu = 40, 4, False


class TinyDeepLab(Tiny, DeepLab25D):
    pass


class TinyPlusSeqDropout(Tiny, WithSequenceDropout, DeepLab25DPlus):
    pass


class TinyPlusFloat32(TinyPlusSeqDropout):
    iterations_per_epoch, largest_batch, bfloat16_on_cpu = 40, 4, False


class TinyPlus(Tiny, DeepLab25DPlus):
    pass


class TinyStockSeqDropout(Tiny, WithSequenceDropout):
    pass


class TinyStock(Tiny, ConfiguredTrainer):
    pass
"""


class Threads:
    """A context of ``multiprocessing`` whose pools are threads."""

    Pool = ThreadPool


@dataclass(frozen=True)
class Host:
    """The three folders of nnU-Net below ``root``, and its commands run in them.

    Each of its commands loads torch and nnU-Net, and so does each of their worker processes: one where nnU-Net would
    start several.
    """

    root: Path

    def __post_init__(self) -> None:
        (self.root / "own_trainers").mkdir(parents=True, exist_ok=True)
        (self.root / "own_trainers" / "TinyTrainers.py").write_text(TINY_TRAINERS)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "nnUNet_raw": str(self.root / "raw"),
            "nnUNet_preprocessed": str(self.root / "preprocessed"),
            "nnUNet_results": str(self.root / "results"),
            # nnU-Net searches them in this order for every trainer and model: those of nearly all tests stand first
            "nnUNet_extTrainer": os.pathsep.join([str(self.root / "own_trainers"), str(TRAINERS)]),
            "nnUNet_def_n_proc": "1",
            "nnUNet_n_proc_DA": "1",
        }

    def run(self, *command: object, fails: bool = False) -> str:
        """Runs a console command of this Python's environment; returns what it printed."""
        words = [str(word) for word in command]
        process = subprocess.run(
            [str(Path(sys.executable).parent / words[0]), *words[1:]],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        printed = process.stdout + process.stderr
        assert (process.returncode != 0) == fails, f"{words} returned {process.returncode}:\n{printed}"
        return printed

    def plan(self, dataset_id: int, *configurations: str) -> None:
        """Fingerprint, plan and preprocess; -np 1, since a test's images are too small for more."""
        workers = ("-npfp", 1, "-np", 1, "--verify_dataset_integrity")
        self.run("nnUNetv2_plan_and_preprocess", "-d", dataset_id, "-c", *configurations, *workers)

    def plan_here(self, dataset_id: int, *configurations: str) -> None:
        """What ``plan`` does, by the functions of its command in this process, where nothing is loaded anew.

        The fingerprint draws ten thousand voxels, not a hundred million: only CT is normalised by them.
        """
        from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

        class QuickFingerprint(nnunet.DatasetFingerprintExtractor):
            def __init__(self, *arguments, **options) -> None:
                super().__init__(*arguments, **options)
                self.num_foreground_voxels_for_intensitystats = 1e4

        with pytest.MonkeyPatch.context() as changed:
            for name, value in self.environment.items():
                changed.setenv(name, value)
            changed.setattr("multiprocessing.get_context", lambda _: Threads)
            nnunet.extract_fingerprint_dataset(dataset_id, QuickFingerprint, 1, check_dataset_integrity=True)
            nnunet.plan_experiments([dataset_id])
            nnunet.preprocess([dataset_id], configurations=configurations, num_processes=[1] * len(configurations))

    def train(self, dataset_id: int, trainer: str, *options: object, configuration: str = "2d", fold: str = "0") -> str:
        if not {"--c", "--val"} & {*options}:
            # a fold that an earlier test has finished would not be trained again
            for final in (self.root / "results").glob(f"*/{trainer}__*__{configuration}/fold_{fold}/*_final.pth"):
                final.unlink()
        command = ("nnUNetv2_train", dataset_id, configuration, fold, "-tr", trainer, "-device", "cpu")
        return self.run(*command, *options)

    def predict(
        self,
        dataset_id: int,
        trainer: str,
        source: Path,
        target: Path,
        *options: object,
        configuration: str = "2d",
        folds: Sequence[object] = (0,),
    ) -> str:
        model = ("-d", dataset_id, "-c", configuration, "-tr", trainer, "-f", *folds, "-device", "cpu")
        workers = ("-npp", 1, "-nps", 1)
        return self.run("nnUNetv2_predict", "-i", source, "-o", target, *model, *workers, *options)

    def model(self, dataset: str, trainer: str, configuration: str = "2d") -> Path:
        return self.root / "results" / dataset / f"{trainer}__nnUNetPlans__{configuration}"


def write_case(
    folder: Path,
    case: str,
    shape: Sequence[int],
    *,
    sequences: Sequence[str] = SEQUENCES,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    seed: int = 0,
    split: str = "Tr",
    absent: Sequence[str] = (),
) -> None:
    """A noisy ball that is brighter than its surroundings on every sequence, as nnU-Net raw files; shape is Z, Y, X."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    centre = [n / 2 for n in shape]
    squares = (((a - c) / (n / 4 + 0.5)) ** 2 for a, c, n in zip(axes, centre, shape, strict=True))
    ball = sum(squares, np.zeros(shape)) <= 1
    for kind in ("images", "labels"):
        (folder / f"{kind}{split}").mkdir(parents=True, exist_ok=True)
    for channel, name in enumerate(sequences):
        voxels = generator.normal(100 + 50 * channel, 10, shape) + 80 * ball
        _write(
            voxels.astype(np.float32) * (name not in absent),
            spacing,
            folder / f"images{split}" / f"{case}_{channel:04d}.nii.gz",
        )
    _write(ball.astype(np.uint8), spacing, folder / f"labels{split}" / f"{case}.nii.gz")


def _write(voxels: np.ndarray, spacing: Sequence[float], path: Path) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([float(s) for s in spacing])
    sitk.WriteImage(image, str(path))


def write_dataset(
    folder: Path,
    shapes: Mapping[str, Sequence[int]],
    *,
    sequences: Sequence[str] = SEQUENCES,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    splits: Sequence[Mapping[str, Sequence[str]]] | None = None,
) -> None:
    """An nnU-Net raw data set of ``write_case`` cases, one per shape."""
    for seed, (case, shape) in enumerate(shapes.items()):
        write_case(folder, case, shape, sequences=sequences, spacing=spacing, seed=seed)
    description = {
        "channel_names": {str(i): name for i, name in enumerate(sequences)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(shapes),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    if splits is not None:
        (folder / "splits_final.json").write_text(json.dumps(splits))


@pytest.fixture(scope="session")
def four_sequences(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Data set 1, planned for 2d and 3d_fullres: four sequences, two declared splits, odd sizes, bravo absent in E."""
    host = Host(tmp_path_factory.mktemp("nnunet"))
    shapes = {case: (12 + i, 37, 45) for i, case in enumerate("ABCDE")}
    splits = [
        {"train": ["A", "B", "C"], "val": ["D", "E"]},
        {"train": ["C", "D", "E"], "val": ["A", "B"]},
    ]
    folder = host.root / "raw" / "Dataset001_Four"
    write_dataset(folder, shapes, splits=splits)
    write_case(folder, "E", shapes["E"], seed=9, absent=["bravo"])
    host.plan_here(1, "2d", "3d_fullres")
    return host


@pytest.fixture
def in_host(four_sequences: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """nnU-Net's environment for calls within this process: augmentation without workers, progress.png of few pixels."""
    for name, value in four_sequences.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    monkeypatch.setitem(matplotlib.rcParams, "savefig.dpi", 10)
    return four_sequences


@pytest.fixture
def make_trainer(in_host: Host) -> Callable:
    """``make_trainer(name)`` -> a trainer of data set 1, not initialised."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    def make(name: str, *, configuration: str = "2d", fold: int | str = 0):
        trainer = get_trainer_from_args("1", configuration, fold, name, device=torch.device("cpu"))
        # a fold that an earlier test has finished would not be trained again
        Path(trainer.output_folder, "checkpoint_final.pth").unlink(missing_ok=True)
        return trainer

    return make


@pytest.fixture(scope="session")
def made_models() -> dict[tuple, Path]:
    """What ``make_model`` made before."""
    return {}


@pytest.fixture
def make_model(make_trainer, made_models):
    """``make_model(trainer)`` -> the folder of a model with random weights, as nnU-Net leaves one; do not change it.

    sequences: of a model of fewer than the data set has.
    """

    def make(name: str, *, configuration: str = "2d", sequences: Sequence[str] = SEQUENCES) -> Path:
        if (name, configuration, sequences) in made_models:
            return made_models[name, configuration, sequences]
        import torch
        from batchgenerators.utilities.file_and_folder_operations import save_json

        torch.manual_seed(0)
        trainer = make_trainer(name, configuration=configuration)
        trainer.dataset_json["channel_names"] = {str(i): sequence for i, sequence in enumerate(sequences)}
        trainer.initialize()
        results = Path(trainer.output_folder_base)
        folder = results.parents[1] / "random_weights" / "-".join(sequences) / results.name
        (folder / "fold_0").mkdir(parents=True, exist_ok=True)
        save_json(trainer.plans_manager.plans, str(folder / "plans.json"), sort_keys=False)
        save_json(trainer.dataset_json, str(folder / "dataset.json"), sort_keys=False)
        for buffer in trainer.network.buffers():
            if buffer.dtype == torch.float32:
                # BatchNorm that has seen something
                buffer.copy_(buffer + 0.1 * torch.rand_like(buffer))
        trainer.save_checkpoint(str(folder / "fold_0" / "checkpoint_final.pth"))
        # a copy may be altered by a test
        (folder / "fold_0" / "checksums.json").unlink()
        made_models[name, configuration, sequences] = folder
        return folder

    return make


@pytest.fixture
def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MRI that SEQDROPOUT_TEST_DATA names."""
    folder = os.environ.get("SEQDROPOUT_TEST_DATA")
    if not folder:
        pytest.skip("SEQDROPOUT_TEST_DATA is not set: the tests on real MRI did not run")
    return Path(folder)
