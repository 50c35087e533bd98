"""Measures every command against its bound: the network alone, reading the images once, or nnU-Net's own command.

    python -m benchmarks.speed WORK [--turns 3] [--only predict ...] [-device cpu]
    python -m benchmarks.speed WORK --model MODEL --images IMAGES --labels LABELS [--only predict subsets]

Prints one table. Commands are whole processes; the two of a row take turns, and the ratio is the median over the turns.
Everything is made in WORK: a phantom of 64 x 64 voxels in-plane, planned for 2d, and untrained networks, which cost as
much as trained ones. With a model of your own, ``predict`` and ``subsets`` take it and a folder of <case>_XXXX images
with all sequences. The networks' rates, ``predict`` and ``subsets`` use -device; ``subsets`` has one turn.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.steps import run_once, use_folders
from benchmarks.turns import HEAD, Row, in_turns, run

SMALL = 200
IMPORTS = "import torch; from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor"


@dataclass(frozen=True)
class Setup:
    """What is measured on. hospital: patients for ``convert``. dataset: the raw data set that they became."""

    work: Path
    turns: int
    device: str
    hospital: Path
    dataset: Path
    model: Path
    images: Path
    labels: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[*SECTIONS], metavar="SECTION")
    parser.add_argument("-device", default="cpu")
    parser.add_argument("--model", type=Path, help="TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("--images", type=Path, help="of the model, five cases or more")
    parser.add_argument("--labels", type=Path, help="their references")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    use_folders(work / "nnunet")
    hospital, dataset = small_cohort(work)
    setup = Setup(
        work,
        arguments.turns,
        arguments.device,
        hospital,
        dataset,
        arguments.model or work / "models" / "SeqDropoutPlusTrainer",
        arguments.images or dataset / "imagesTr",
        arguments.labels or dataset / "labelsTr",
    )
    table = sys.stdout
    with redirect_stdout(sys.stderr):  # nnU-Net's trainers print
        if arguments.model is None:
            from benchmarks.networks import trained_nothing

            trained_nothing(work / "models", arguments.device)
        print(HEAD, file=table, flush=True)
        for name in arguments.only:
            for row in SECTIONS[name](setup):
                print(row, file=table, flush=True)


def small_cohort(work: Path) -> tuple[Path, Path]:
    """Eight patients of the phantom's Hospital A, converted and planned; made once."""
    phantom, done = work / "phantom", work / "done"
    size = ("--train", 8, "--val", 1, "--test", 1, "--size", 64)
    run_once(done / "phantom", "seqdropout", "phantom", "-o", phantom, *size, quiet=True)
    convert = ("seqdropout", "convert", "hospital_a", phantom / "hospital_a", "-d", 1, "-n", "Speed")
    run_once(done / "convert", *convert, "--register", "never", quiet=True)
    run_once(done / "plan", "nnUNetv2_plan_and_preprocess", "-d", 1, "-c", "2d", "-np", 2, quiet=True)
    return phantom / "hospital_a", Path(os.environ["nnUNet_raw"], "Dataset001_Speed")


def networks(setup: Setup) -> Iterator[Row]:
    """Each network alone, and an epoch of each against it."""
    from benchmarks.networks import epochs, gigaflops, rates, trained_nothing

    trainers = trained_nothing(setup.work / "models", setup.device)
    for name, trainer in trainers.items():
        print(f"{name}: {gigaflops(trainer):.1f} GFLOP a slice of the patch's size", file=sys.stderr)
    yield from rates(trainers, setup.turns)
    yield from epochs(trainers, setup.turns)


def predict(setup: Setup) -> Iterator[Row]:
    """One case and five, as whole commands, against the time of the network on them, and against nnU-Net's command."""
    for n_cases in (1, 5):
        images = first_cases(setup, n_cases)
        tasks: dict[str, Callable[[], object]] = {
            "ours": partial(run, predicting("seqdropout predict", setup, images, "ours")),
            "network": network_alone(setup, images),
            "stock": partial(run, predicting("nnUNetv2_predict_from_modelfolder", setup, images, "stock")),
            "imports": partial(run, [sys.executable, "-c", IMPORTS]),
        }
        seconds = in_turns(tasks, setup.turns)
        what = f"`predict`, {n_cases} case{'s' * (n_cases > 1)}"
        yield Row.of(what, seconds["ours"], "its network alone", seconds["network"])
        yield Row.of(what, seconds["ours"], "`nnUNetv2_predict`, same model", seconds["stock"])
        both = [sum(pair) for pair in zip(seconds["network"], seconds["imports"], strict=True)]
        yield Row.of(what, seconds["ours"], "its network and the imports of torch and nnunetv2", both)


def first_cases(setup: Setup, n_cases: int) -> Path:
    """A folder of links to the images of the first cases."""
    folder = setup.work / f"first_{n_cases}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases = sorted({file.name.rsplit("_", 1)[0] for file in setup.images.glob("*_0000.*")})[:n_cases]
    if len(cases) < n_cases:
        sys.exit(f"{setup.images} has fewer than {n_cases} cases.")
    for file in (file for case in cases for file in setup.images.glob(f"{case}_[0-9][0-9][0-9][0-9].*")):
        (folder / file.name).symlink_to(file.resolve())
    return folder


def predicting(command: str, setup: Setup, images: Path, target: str) -> list[object]:
    """Without mirroring: the rest of the command then shows more."""
    shutil.rmtree(setup.work / target, ignore_errors=True)
    words = ["-i", images, "-o", setup.work / target, "-m", setup.model, "-f", "0", "-device", setup.device]
    return [*command.split(), *words, "--disable_tta"]


def network_alone(setup: Setup, images: Path) -> Callable[[], None]:
    """The sliding window of the model, loaded and warm, on cases that are preprocessed."""
    import torch

    from nnunet_seqdropout.models.folders import description_of_model
    from nnunet_seqdropout.prediction.inputs import from_folder
    from nnunet_seqdropout.prediction.loading import load_model

    model = load_model(setup.model, folds=[0], device=torch.device(setup.device), use_mirroring=False)
    ending = description_of_model(setup.model).file_ending
    cases = from_folder(images, channel_names=model.channel_names, file_ending=ending)
    preprocessed = [model.preprocess(case.read().by_channel) for case in cases.values()]

    def run_network() -> None:
        for case in preprocessed:
            model.logits(case)

    return run_network


def subsets(setup: Setup) -> Iterator[Row]:
    """Every subset of a case's sequences by one command, against one of nnU-Net's commands for each."""
    from benchmarks.subsets import compared

    ours, stock, n_patterns = compared(
        setup.model,
        first_cases(setup, 1),
        setup.labels,
        setup.work / "subsets",
        options=["-f", "0", "-device", setup.device, "--disable_tta"],
    )
    yield Row.of("`subsets`, 1 case", ours, f"{n_patterns} times `nnUNetv2_predict`", stock)


def conversion(setup: Setup) -> Iterator[Row]:
    """``convert`` and ``check`` against reading every image of the source, or of the data set, once."""
    raw = Path(os.environ["nnUNet_raw"], "Dataset002_Converted")
    convert = ["seqdropout", "convert", "hospital_a", setup.hospital, "-d", 2, "-n", "Converted", "--register", "never"]
    check = ["seqdropout", "check", "-i", setup.dataset]
    sources = {"`convert`, 8 patients": setup.hospital, "`check`, 8 cases": setup.dataset}
    for (what, source), command in zip(sources.items(), (convert, check), strict=True):

        def anew(command: Sequence[object] = command) -> None:
            shutil.rmtree(raw, ignore_errors=True)
            run(command)

        yield against_reading(setup, what, anew, source)


def evaluation(setup: Setup) -> Iterator[Row]:
    """``evaluate`` without its report, against reading its files once: one large case, and 200 of 48 x 48 x 16."""
    from benchmarks.evaluation import make_case
    from benchmarks.growth import write_patients
    from dataset_conversion.files.images.nifti_writing import write_probability

    large, small = setup.work / "large", setup.work / "small"
    if not (large / "predictions").is_dir():
        (large / "references").mkdir(parents=True, exist_ok=True)
        (large / "predictions").mkdir()
        reference, maps = make_case(np.random.default_rng(0))
        image = sitk.GetImageFromArray(reference.astype(np.uint8))
        sitk.WriteImage(image, str(large / "references" / "P.nii.gz"), useCompression=True)
        file = large / "predictions" / "P_prob.nii.gz"
        write_probability(maps["40 objects"], image, file, stored_as="uint16")
    if not (small / "patients").is_dir():
        write_patients(small, SMALL)
    for what, folder in (("one case of 256 x 256 x 192", large), (f"{SMALL} cases of 48 x 48 x 16", small)):
        places = ("-gt", folder / "references", "-p", folder / "predictions", "-o", folder / "out")
        command = ["seqdropout", "evaluate", *places, "--no-report"]
        files = folder / "read"
        files.mkdir(exist_ok=True)
        for kind in ("references", "predictions"):
            if not (files / kind).exists():
                (files / kind).symlink_to(folder / kind)
        yield against_reading(setup, f"`evaluate --no-report`, {what}", partial(run, command), files)


def against_reading(setup: Setup, what: str, task: Callable[[], object], folder: Path) -> Row:
    read = (
        "import sys, glob, SimpleITK as s; "
        "[s.ReadImage(f) for f in glob.glob(sys.argv[1] + '/**/*.nii.gz', recursive=True)]"
    )
    reading = partial(run, [sys.executable, "-c", read, folder])
    seconds = in_turns({"ours": task, "reading": reading}, setup.turns)
    return Row.of(what, seconds["ours"], "SimpleITK reads its images", seconds["reading"])


SECTIONS: dict[str, Callable[[Setup], Iterator[Row]]] = {
    "networks": networks,
    "predict": predict,
    "subsets": subsets,
    "conversion": conversion,
    "evaluation": evaluation,
}

if __name__ == "__main__":
    main()
