"""A name that becomes part of a path leads to one file below its folder, on any file system, or is refused."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.faults import Fault
from dataset_conversion.files.names import LONGEST_BYTES, require_name


@pytest.mark.parametrize(
    "name",
    [
        "P1",
        "Müller, Jane ^2",
        "sub-01_ses-02",
        "日本",
        "(1)",
        "P.1",
        "ab:c",
        "=1+1",
        "console",
        "com",
        "x" * LONGEST_BYTES,
    ],
)
def test_what_works_as_the_name_of_a_file_is_allowed(name):
    assert require_name(name, what="the case") == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        (7, "it is no text"),
        ("../x", "it leads into another folder"),
        ("..", "it leads into another folder"),
        ("a/b", "it leads into another folder"),
        ("a\\b", "it leads into another folder"),
        ("C:x", "it leads into another folder"),
        (".x", "it begins with ., and would be hidden"),
        ("-x", "it begins with -, and would be taken for an option"),
        ("a\nb", "it contains '\\n', which is no printable character"),
        ("M\udcfcller", "it contains '\\udcfc', which is no printable character"),
        ("aux", "on Windows this is a device"),
        ("Com1.a", "on Windows this is a device"),
        ("ü" * 118, "it is 236 bytes long"),
    ],
)
def test_any_other_is_refused_with_the_reason(name, reason):
    with pytest.raises(Fault) as fault:
        require_name(name, what="the case")
    assert reason in fault.value.problem
    assert fault.value.problem.startswith(f"the case {name!r} cannot be the name of a file: ")


@given(st.text(alphabet=st.one_of(st.sampled_from("./\\-: \0\n"), st.sampled_from(string.ascii_letters)), max_size=12))
def test_an_allowed_name_is_one_visible_file_of_its_folder(name):
    try:
        require_name(name, what="the case")
    except Fault:
        return
    file = Path("/out", f"{name}.json")
    assert file.parent == Path("/out")
    assert file.name == f"{name}.json"
    assert file.resolve().parent == Path("/out").resolve()
    assert not name.startswith((".", "-"))
