"""One patient is not ``1 patients``, on the screen and on a page."""

import pytest
from example_folders import patient, save, save_npz

from dataset_conversion.plurals import n_of
from nnunet_seqdropout.cli.command import main


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 lesions"), (1, "1 lesion"), (1.5, "1.5 lesions"), (2.0, "2 lesions"), (1234, "1,234 lesions")],
)
def test_the_noun_follows_the_number(n, said):
    assert n_of(n, "lesion") == said


def test_an_evaluation_of_one_patient_with_one_lesion_is_in_the_singular(tmp_path, capsys):
    reference, probability = patient(0)
    reference[3] = 0
    save(reference, tmp_path / "gt" / "P.nii.gz")
    save_npz(probability, tmp_path / "p", "P")
    words = ("evaluate", "-gt", tmp_path / "gt", "-p", tmp_path / "p", "-o", tmp_path / "out")
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "1 patient; threshold" in printed
    assert "1 of 1 lesion found, 1 false positive\n" in printed
    page = (tmp_path / "out" / "report.html").read_text()
    assert "1 patient, 1 lesion in the reference" in page
    assert "1 lesion has a predicted object of its own" in page
    for wrong in ("1 patients", "1 lesions", "1 false positives"):
        assert f" {wrong}" not in page + printed
