"""The rooms import each other only along the arrows of docs/decisions/0001-layout.md."""

import ast
import shutil
import sys
import zipfile
from pathlib import Path
from subprocess import run

import pytest

PROJECT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "trainers": {"nnunet_seqdropout"},
    "nnunet_seqdropout": {"evaluation", "dataset_conversion"},
    "evaluation": {"dataset_conversion"},
    "dataset_conversion": set(),
}
WITHOUT_TORCH = ("evaluation", "dataset_conversion")
FILES = [(room, file) for room in MAY_IMPORT for file in sorted((PROJECT / room).rglob("*.py"))]


def imported(source: str) -> set[str]:
    """The top-level packages that a file imports, anywhere in it; a relative import is named by its dots."""
    packages = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add("." * node.level or (node.module or "").split(".")[0])
    return packages


def test_imports_are_found_wherever_they_stand():
    assert imported("import a.b\ndef f():\n    from c.d import e\nfrom . import g") == {"a", "c", "."}


@pytest.mark.parametrize(("room", "file"), FILES, ids=[str(file.relative_to(PROJECT)) for _, file in FILES])
def test_a_room_imports_only_along_the_arrows(room, file):
    found = imported(file.read_text())
    assert found & MAY_IMPORT.keys() <= MAY_IMPORT[room] | {room}
    if room in WITHOUT_TORCH:
        assert not found & {"torch", "torchvision", "timm"}


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_conversion_and_evaluation_load_without_torch(room):
    modules = [f"{room}.{file.stem}" for _, file in FILES if file.parent.name == room and file.stem != "__init__"]
    check = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", check], cwd=PROJECT, check=False).returncode == 0


def test_the_trainers_folder_is_what_the_finder_of_nnunet_needs():
    for file in (PROJECT / "trainers").iterdir():
        if file.name == "__pycache__":
            continue
        tree = ast.parse(file.read_text())
        classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        assert file.stem in classes
        assert imported(file.read_text()) <= {"nnunetv2", "nnunet_seqdropout"}


def test_the_wheel_holds_the_rooms_and_the_trainers(tmp_path):
    sources = tmp_path / "sources"
    for name in ("setup.py", "pyproject.toml", "README.md", *MAY_IMPORT):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        sources.mkdir(exist_ok=True)
        copy(PROJECT / name, sources / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    run([sys.executable, "-m", "pip", "wheel", *options, sources], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [f for kind in ("*.yaml", "page/*") for room in MAY_IMPORT for f in (PROJECT / room).rglob(kind)]
    assert {str(file.relative_to(PROJECT)) for file in (*data, *(file for _, file in FILES))} <= names
    assert len(data) >= 15
    assert not any(name.startswith("tests/") for name in names)
