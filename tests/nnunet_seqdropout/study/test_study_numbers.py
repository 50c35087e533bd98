"""The data sets of a study have numbers that nnU-Net takes, however many channels there are, and keep them."""

import re
from pathlib import Path

import pytest
from conftest import write_case, write_dataset
from hypothesis import given
from hypothesis import strategies as st

from nnunet_seqdropout.cli.command import main
from nnunet_seqdropout.study.numbers import data_set_numbers

TEN = tuple(f"s{i}" for i in range(10))
DESIGN = "base: small\nbackground: null\nthreshold: argmax\ntargets: {lesion: [1]}\nscenarios: {as_acquired: []"


def dry_run(folder: Path, capsys, *, scenarios: str = "") -> list[str]:
    """The raw data sets of the study, after a look at the numbers in the commands."""
    (folder / "design.yaml").write_text(f"{DESIGN}{scenarios}}}\n")
    words = ["study", "-i", folder / "Dataset001_Ten", "-o", folder / "out", "--design", folder / "design.yaml"]
    assert main([*map(str, words), "-device", "cpu", "--dry-run"]) == 0
    trained = {int(number) for number in re.findall(r"nnUNetv2_train (\d+) ", capsys.readouterr().out)}
    made = sorted(path.name for path in (folder / "out" / "nnUNet_raw").iterdir())
    assert trained <= {int(name[7:10]) for name in made}
    return made


@pytest.fixture
def ten(tmp_path) -> Path:
    """Five patients with all of ten sequences, one to validate; two test patients lack the first."""
    folder = tmp_path / "Dataset001_Ten"
    splits = [{"train": list("ABCD"), "val": ["E"]}]
    write_dataset(folder, dict.fromkeys("ABCDE", (3, 6, 7)), sequences=TEN, splits=splits)
    for seed, case in enumerate("XY", start=20):
        write_case(folder, case, (3, 6, 7), sequences=TEN, seed=seed, absent=["s0"], split="Ts")
    return tmp_path


def test_a_study_of_ten_channels_has_numbers_of_three_digits_and_keeps_them(ten, capsys):
    rest, fewer = "_".join(TEN[1:]), "_".join(TEN[1:9])
    assert dry_run(ten, capsys) == [f"Dataset001_{'_'.join(TEN)}", f"Dataset002_{rest}"]
    # another scenario first; its bits, 510, are free
    made = dry_run(ten, capsys, scenarios=", without: [s9]")
    assert made == [f"Dataset001_{'_'.join(TEN)}", f"Dataset002_{rest}", f"Dataset510_{fewer}"]


def test_a_study_that_was_begun_with_numbers_of_four_digits_goes_on_with_them(ten, capsys):
    made = dry_run(ten, capsys)
    raw = ten / "out" / "nnUNet_raw"
    for name, number in zip(made, (1023, 1022), strict=True):
        (raw / name).rename(raw / f"Dataset{number}_{name.partition('_')[2]}")
    (ten / "out" / "state.json").unlink(missing_ok=True)
    words = ["study", "-i", ten / "Dataset001_Ten", "-o", ten / "out", "--design", ten / "design.yaml"]
    assert main([*map(str, words), "-device", "cpu", "--dry-run"]) == 0
    assert {path.name[:11] for path in raw.iterdir()} == {"Dataset1022", "Dataset1023"}


def test_the_folder_of_a_study_with_other_channels_is_refused(ten, capsys):
    dry_run(ten, capsys)
    write_dataset(ten / "Dataset002_Other", dict.fromkeys("ABCDE", (3, 6, 7)), sequences=("s0", "s1"))
    words = ["study", "-i", ten / "Dataset002_Other", "-o", ten / "out", "--design", ten / "design.yaml"]
    (ten / "design.yaml").write_text(f"{DESIGN}}}\ntest: cross_validation\nfolds: [0, 1, 2, 3, 4]\n")
    assert main([*map(str, words), "-device", "cpu", "--dry-run"]) == 2
    assert "this is the study of another data set, Dataset001_s0_s1_s2" in capsys.readouterr().err


def test_up_to_nine_channels_the_number_has_a_bit_for_each(tmp_path):
    (tmp_path / "Dataset003_b_c").mkdir()
    choices = [("a", "b", "c"), ("b", "c"), ("a",)]
    assert list(data_set_numbers(("a", "b", "c"), choices, tmp_path).values()) == [7, 6, 1]
    nine = tuple("abcdefghi")
    assert data_set_numbers(nine, [nine], tmp_path) == {nine: 511}


@given(st.lists(st.sets(st.integers(0, 11), min_size=1).map(sorted), unique_by=tuple, max_size=40), st.data())
def test_numbers_are_free_of_three_digits_and_stay_whatever_the_order(tmp_path_factory, chosen, data):
    names = tuple(f"c{i}" for i in range(12))
    choices = [tuple(names[i] for i in choice) for choice in chosen]
    raw = tmp_path_factory.mktemp("raw")
    (raw / "Dataset005_stranger").mkdir()
    begun = choices[: data.draw(st.integers(0, len(choices)))]
    first = data_set_numbers(names, begun, raw)
    for choice, number in first.items():
        (raw / f"Dataset{number:03d}_{'_'.join(choice)}").mkdir()
    numbers = data_set_numbers(names, data.draw(st.permutations(choices)), raw)
    assert first.items() <= numbers.items()
    assert len({*numbers.values(), 5}) == len(choices) + 1
    assert all(1 <= number <= 999 for number in numbers.values())
