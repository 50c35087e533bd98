"""A file is known by its SHA-256, whenever the process that replaced it was killed."""

import json
from pathlib import Path

import pytest

from dataset_conversion.faults import Fault
from dataset_conversion.files import checksums
from dataset_conversion.files.checksums import NAME, forget, is_unchanged, recorded, replace_recorded


def put(folder: Path, text: str, name: str = "file") -> Path:
    (folder / "partial").write_text(text)
    replace_recorded(folder / "partial", folder / name)
    return folder / name


def test_a_changed_byte_is_found_and_an_unknown_file_is_not_judged(tmp_path):
    file = put(tmp_path, "abc")
    # of the text abc, FIPS 180-2
    assert recorded(tmp_path)["file"] == ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
    assert is_unchanged(file) is True
    file.write_text("abd")
    assert is_unchanged(file) is False
    (tmp_path / "other").write_text("abc")
    assert is_unchanged(tmp_path / "other") is None


def test_whenever_it_is_killed_the_file_that_is_there_is_known(tmp_path, monkeypatch):
    """Both are recorded, the file is moved, the old one is forgotten: killed before each of the three."""
    write, move = checksums._write, Path.replace
    for steps_done in range(3):
        file, left = put(tmp_path, "old"), iter(range(steps_done))

        def step(do, *arguments, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return do(*arguments)

        def moved(path, target, step=step):
            return step(move, path, target) if path.name == "partial" else move(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(checksums, "_write", lambda *arguments, step=step: step(write, *arguments))
            patched.setattr(Path, "replace", moved)
            with pytest.raises(KeyboardInterrupt):
                put(tmp_path, "new")
        assert file.read_text() == ("new" if steps_done == 2 else "old")
        assert is_unchanged(file) is True
        assert is_unchanged(put(tmp_path, "newer")) is True
        assert len(recorded(tmp_path)["file"]) == 1


def test_what_is_removed_is_forgotten(tmp_path):
    one, other = put(tmp_path, "1", "one"), put(tmp_path, "2", "other")
    forget(tmp_path, ["one", "never there"])
    assert not one.exists()
    assert list(recorded(tmp_path)) == ["other"]
    assert is_unchanged(other) is True


@pytest.mark.parametrize("content", ["[]", "{", {"sha256": 3}, {"sha256": {"file": "ba"}}, {"sha256": {"file": [3]}}])
def test_a_broken_record_is_named(tmp_path, content):
    (tmp_path / NAME).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(Fault, match=f"{NAME}.*Restore {NAME} from a backup"):
        recorded(tmp_path)
