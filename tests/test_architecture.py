"""The shelves import each other only along the arrows of this table, and no files import each other in a circle."""

import ast
import shutil
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from subprocess import run

import pytest
from conftest import PROJECT

ROOMS = ("trainers", "nnunet_seqdropout", "evaluation", "dataset_conversion")
WITHOUT_TORCH = ("evaluation", "dataset_conversion")
TRAINING = {"nnunet_seqdropout.training"}

TABLE = """
dataset_conversion.sequences: faults nearest
dataset_conversion.files: faults nearest plurals sequences
dataset_conversion.defacing: faults files plurals
dataset_conversion.outcomes: faults files processes
dataset_conversion.registration: faults files plurals
dataset_conversion.pseudonyms: faults files plurals
dataset_conversion.dicom: faults files outcomes plurals pseudonyms sequences
dataset_conversion.phantom: faults files outcomes plurals
dataset_conversion.quality: files outcomes
dataset_conversion.raw: defacing faults files outcomes plurals pseudonyms quality registration
    sequences
dataset_conversion.checks: faults files outcomes plurals raw sequences
evaluation.lesion_table: metrics
evaluation.patient: lesion_table metrics
evaluation.inputs: metrics patient dataset_conversion.faults dataset_conversion.files
    dataset_conversion.outcomes dataset_conversion.plurals dataset_conversion.sequences
evaluation.tables: inputs metrics patient dataset_conversion.faults dataset_conversion.files
    dataset_conversion.outcomes dataset_conversion.plurals dataset_conversion.sequences
evaluation.figures: inputs metrics tables dataset_conversion.faults dataset_conversion.files
    dataset_conversion.plurals dataset_conversion.sequences
evaluation.report: figures metrics tables dataset_conversion.faults dataset_conversion.files dataset_conversion.plurals
    dataset_conversion.sequences
nnunet_seqdropout.settings: dataset_conversion.nearest
nnunet_seqdropout.dropout: settings subsets
nnunet_seqdropout.network: layers
nnunet_seqdropout.models: dropout subsets evaluation.inputs dataset_conversion.faults dataset_conversion.files
    dataset_conversion.nearest dataset_conversion.plurals dataset_conversion.sequences
nnunet_seqdropout.plans: network
nnunet_seqdropout.prediction: nnunet_seqdropout dropout models evaluation.figures evaluation.inputs
    evaluation.lesion_table evaluation.metrics evaluation.patient evaluation.report evaluation.tables
    dataset_conversion.dicom dataset_conversion.faults dataset_conversion.files dataset_conversion.outcomes
    dataset_conversion.plurals dataset_conversion.raw dataset_conversion.sequences
nnunet_seqdropout.training: nnunet_seqdropout dropout plans settings subsets evaluation.figures
    evaluation.metrics dataset_conversion.descendants dataset_conversion.files dataset_conversion.plurals
    dataset_conversion.sequences
nnunet_seqdropout.study: models settings subsets training evaluation.figures evaluation.metrics evaluation.report
    evaluation.tables dataset_conversion.checks dataset_conversion.faults dataset_conversion.files
    dataset_conversion.nearest dataset_conversion.plurals dataset_conversion.processes dataset_conversion.raw
    dataset_conversion.sequences
nnunet_seqdropout.training_25d: training
nnunet_seqdropout.cli: dropout models prediction study subsets evaluation.figures evaluation.inputs
    evaluation.metrics evaluation.report evaluation.tables dataset_conversion.checks dataset_conversion.dicom
    dataset_conversion.faults dataset_conversion.files dataset_conversion.nearest dataset_conversion.outcomes
    dataset_conversion.phantom
    dataset_conversion.plurals dataset_conversion.pseudonyms dataset_conversion.raw dataset_conversion.sequences
nnunet_seqdropout.__main__: cli
nnunet_seqdropout.api: prediction evaluation.inputs evaluation.metrics evaluation.patient evaluation.tables
    dataset_conversion.faults dataset_conversion.files dataset_conversion.outcomes dataset_conversion.raw
    dataset_conversion.sequences
"""
"""Shelf: the shelves that it may import, without the room where it is the same one; from the ground up. Whatever lies
directly below a room, file or folder, is a shelf."""


def read_table(table: str) -> dict[str, set[str]]:
    """``a.b: c d.e`` -> {"a.b": {"a.c", "d.e"}}; a line that begins with blanks goes on with the one before."""
    arrows = {}
    for line in table.replace("\n    ", " ").split("\n")[1:-1]:
        name, _, others = line.partition(":")
        room = name.split(".")[0]
        arrows[name] = {o if o.split(".")[0] in ROOMS else f"{room}.{o}" for o in others.split()}
    return arrows


ARROWS = read_table(TABLE)

FILES = {
    ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): file
    for room in ROOMS
    for file in sorted((PROJECT / room).rglob("*.py"))
}
"""Module -> its file, of every folder of every room."""

TESTS = sorted((PROJECT / "tests").rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """The modules that a file imports, anywhere in it and for types only, too; a relative import is named by its dots.

    ``from a.b import c`` is the module ``a.b.c`` where there is one, else ``a.b``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            submodules = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else module for name in submodules)


def shelf(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(imports: dict[str, set[str]]) -> list[str]:
    """One chain of modules, each of which imports the next and the last the first; empty where there is none."""
    done: set[str] = set()

    def follow(module: str, chain: list[str]) -> list[str]:
        if module in chain:
            return chain[chain.index(module) :]
        if module in done:
            return []
        for other in sorted(imports.get(module, ())):
            if found := follow(other, [*chain, module]):
                return found
        done.add(module)
        return []

    return next((found for module in imports if (found := follow(module, []))), [])


def ours(module: str) -> set[str]:
    """What a module of ours imports of us."""
    return {name for name in imported(FILES[module].read_text()) if name.split(".")[0] in ROOMS}


def test_imports_are_found_wherever_they_stand():
    source = "import a.b\ndef f():\n    from c.d import e\nfrom . import g\nfrom evaluation import patient, other"
    assert [*imported(source)] == ["a.b", ".", "evaluation.patient", "evaluation", "c.d"]


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("module", FILES)
def test_a_shelf_imports_only_along_the_arrows(module):
    allowed = TRAINING if module.startswith("trainers.") else ARROWS.get(shelf(module), set())
    assert {shelf(name) for name in ours(module)} - {shelf(module)} <= allowed


def test_every_arrow_of_the_table_is_used_and_none_is_a_circle():
    used: dict[str, set[str]] = {name: set() for name in ARROWS}
    for module in FILES:
        if not module.startswith("trainers."):
            used.setdefault(shelf(module), set()).update(map(shelf, ours(module) - {module}))
    assert {name: others - {name} for name, others in used.items() if others - {name}} == ARROWS
    assert circle(ARROWS) == []


def test_no_files_import_each_other_in_a_circle():
    assert circle({module: ours(module) - {module} for module in FILES}) == []


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith(WITHOUT_TORCH)])
def test_conversion_and_evaluation_do_not_import_torch(module):
    assert not {name.split(".")[0] for name in imported(FILES[module].read_text())} & {"torch", "torchvision", "timm"}


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_conversion_and_evaluation_load_without_torch(room):
    modules = [name for name in FILES if name.startswith(f"{room}.")]
    check = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("nnunet_seqdropout.network", "DeepLabV3Slab"),
        ("nnunet_seqdropout.training", "WithSequenceDropout"),
        ("nnunet_seqdropout.training", "ConfiguredTrainer"),
        ("nnunet_seqdropout.training_25d", "DeepLab25D"),
        ("nnunet_seqdropout.prediction", "load_model"),
        ("nnunet_seqdropout.cli", "main"),
        ("nnunet_seqdropout", "load_model"),
        ("nnunet_seqdropout", "predict"),
        ("nnunet_seqdropout", "evaluate_patient"),
        ("nnunet_seqdropout", "evaluate_folders"),
        ("nnunet_seqdropout", "convert"),
        ("evaluation.patient", "Grid"),
        ("evaluation.patient", "Rules"),
        ("evaluation.patient", "evaluate_patient"),
        ("evaluation.tables", "evaluate_folders"),
    ],
)
def test_what_users_and_trained_models_import_answers_at_its_name(module, name):
    assert callable(getattr(import_module(module), name))


def test_the_network_answers_at_the_name_in_the_plans_of_trained_models():
    from nnunet_seqdropout.network import DeepLabV3Slab

    assert f"{DeepLabV3Slab.__module__}.{DeepLabV3Slab.__qualname__}" == "nnunet_seqdropout.network.DeepLabV3Slab"


def test_the_trainers_folder_is_what_the_finder_of_nnunet_needs():
    for file in (PROJECT / "trainers").iterdir():
        if file.name == "__pycache__":
            continue
        tree = ast.parse(file.read_text())
        classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        assert file.stem in classes
        assert {name.split(".")[0] for name in imported(file.read_text())} <= {"nnunetv2", "nnunet_seqdropout"}


def test_the_folders_of_the_tests_are_those_of_the_project():
    tests = PROJECT / "tests"
    folders = {file.parent.relative_to(tests).as_posix() for file in TESTS if file.parent != tests}
    assert {*ROOMS} < folders
    assert [folder for folder in folders if not (PROJECT / folder).is_dir()] == []


def test_every_file_of_the_tests_has_a_name_of_its_own_and_none_makes_a_package():
    names = [file.name for file in TESTS]
    assert len({*names}) == len(names)
    assert "__init__.py" not in names


def test_what_tests_share_lies_beside_conftest_and_no_test_imports_another():
    names = {file.stem for file in TESTS if file.name.startswith("test_")}
    assert {file.parent for file in TESTS if file.stem not in names} == {PROJECT / "tests"}
    assert [file.name for file in TESTS if names & {*imported(file.read_text())}] == []


def test_the_wheel_holds_the_rooms_and_the_trainers(tmp_path):
    sources = tmp_path / "sources"
    for name in ("setup.py", "pyproject.toml", "README.md", *ROOMS):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        sources.mkdir(exist_ok=True)
        copy(PROJECT / name, sources / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    run([sys.executable, "-m", "pip", "wheel", *options, sources], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("*.yaml", "templates/*", "py.typed")
    data = [f for kind in kinds for room in ROOMS for f in (PROJECT / room).rglob(kind)]
    assert {str(file.relative_to(PROJECT)) for file in (*data, *FILES.values())} <= names
    assert len(data) >= 20
    assert not any(name.startswith("tests/") for name in names)
