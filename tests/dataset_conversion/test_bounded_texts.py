"""Layouts, rules and JSON that would take for ever, or all memory, are refused in one line."""

import json
import time
from pathlib import Path

import pytest

from dataset_conversion.dicom.rules import Rule
from dataset_conversion.dicom.series import DicomSeries
from dataset_conversion.faults import Fault
from dataset_conversion.files.texts.json_files import read_json
from dataset_conversion.files.texts.patterns import bounded
from dataset_conversion.files.texts.yaml_files import read_yaml
from nnunet_seqdropout.cli.command import main

LAYOUT = "channels: [flair]\nlabels: {background: 0, lesion: 1}\nimages: {flair: 'PATTERN'}\n"
LAUGHS = "a0: &a0 [xxxxxxxxx]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


def convert(folder: Path, layout: str) -> int:
    (folder / "layout.yaml").write_text(layout)
    words = ("convert", "generic", folder / "in", "--layout", folder / "layout.yaml", "-d", 1, "-n", "X")
    return main([str(word) for word in words])


@pytest.fixture
def hospital(tmp_path, monkeypatch) -> Path:
    """A folder with one file, whose name is long enough for a pattern to go wrong."""
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{'a' * 60}.nii.gz").write_bytes(b"")
    return tmp_path


def one_line(printed: str) -> str:
    (line,) = [line for line in printed.splitlines() if line.startswith("seqdropout: ")]
    assert "Traceback" not in printed
    return line


@pytest.mark.parametrize("bomb", ["(?:a+)+b", "(?:a|aa)+b", "(?:.*a){25}b"])
def test_a_pattern_that_takes_for_ever_ends_the_command_with_its_name(hospital, capsys, bomb):
    started = time.process_time()
    assert convert(hospital, LAYOUT.replace("PATTERN", f"{{patient:{bomb}}}")) == 2
    assert time.process_time() - started < 10
    said = one_line(capsys.readouterr().err)
    assert f"{bomb}) takes more than 2 s for one name. Write it without a repetition inside a repetition" in said
    assert not (hospital / "raw").exists()


def test_a_repetition_inside_a_repetition_that_ends_is_allowed(hospital, capsys):
    """The file is found."""
    assert convert(hospital, LAYOUT.replace("PATTERN", "{patient:(?:a+)+}")) == 1
    assert "a training patient without a label" in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["{patient:a{1,99999999999}}", "{patient}" + "x" * 1000, "{patient:[z-a]}"])
def test_a_pattern_that_cannot_be_compiled_is_a_fault_of_the_layout(hospital, capsys, pattern):
    assert convert(hospital, LAYOUT.replace("PATTERN", pattern)) == 2
    assert "invalid layout" in one_line(capsys.readouterr().err)


def test_a_rule_that_takes_for_ever_does_not_say_what_the_header_says():
    series = DicomSeries("P", "1", "1.2", "3", "DoeJane" + "a" * 60, "MR", False, None, ())
    rule = Rule("flair", (bounded("(a+)+b"),))
    with pytest.raises(Fault, match="takes more than 2 s") as fault:
        rule.holds(series)
    assert "Doe" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: " + "[" * 100_000, "it is nested more than 100 deep"),
        ("- " * 100_000, "it is nested more than 100 deep"),
        (LAUGHS, "its aliases stand for more than 1,048,576 characters"),
        ("a: &a [*a]", "*a stands for nothing, or lies in what it stands for"),
        ("a: " + "x" * 2**20, "it is larger than 1,048,576 bytes"),
        ("a: 2020-13-45", "month must be in 1..12"),
        ("a: !!timestamp x", "this is no YAML"),
        ("a: !!bool x", "this is no YAML"),
        ("a: !!int ''", "this is no YAML"),
        ("a: " + "1" * 5000, "this is no YAML"),
    ],
)
def test_yaml_without_end_is_refused_in_one_line(hospital, capsys, text, problem):
    assert convert(hospital, text) == 2
    said = one_line(capsys.readouterr().err)
    assert problem in said
    assert len(said) < 500
    assert "layout.yaml" in said


def test_anchors_and_aliases_within_the_bounds_are_read(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a: &a {x: [1, 2], y: &y text}\nb: *a\nc: [*y, *y]\nd: {<<: *a, z: 3}\n")
    a = {"x": [1, 2], "y": "text"}
    assert read_yaml(file, what="it", remedy="") == {"a": a, "b": a, "c": ["text", "text"], "d": {**a, "z": 3}}


@pytest.mark.parametrize("deep", [101, 900, 100_000])
def test_json_that_is_nested_too_deep_is_refused_in_one_line(tmp_path, deep):
    file = tmp_path / "x.json"
    file.write_text("[" * deep + "]" * deep)
    with pytest.raises(Fault, match=r"x.json: not readable as JSON \(it is nested more than 100 deep\)"):
        read_json(file, list)
    file.write_text(json.dumps({"a": [[{"b": 1}], "text"]}))
    assert read_json(file, dict) == {"a": [[{"b": 1}], "text"]}
    file.write_text("[" * 100 + "]" * 100)
    assert read_json(file, list)


def test_a_file_without_end_is_read_no_further_than_the_bound():
    if not Path("/dev/zero").exists():
        pytest.skip("there is no file without end here")
    with pytest.raises(Fault, match="larger than 1,048,576 bytes"):
        read_yaml(Path("/dev/zero"), what="it", remedy="")
