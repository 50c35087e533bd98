"""README and the pages of the site: their links lead somewhere, their commands exist, their tables are the code's."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT

from docs.command_pages import all_commands
from nnunet_seqdropout.cli.command import build_parser, main
from nnunet_seqdropout.settings import declared_settings
from nnunet_seqdropout.training import ConfiguredTrainer, DeepLab25D, DeepLab25DPlus, WithSequenceDropout

DOCS = PROJECT / "docs"
PAGES = [*(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
GENERATED = "<!-- every command, from its parser -->"
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


@cache
def text_of(page: Path) -> str:
    """Without blocks of code; a generated chapter in its place."""
    text = page.read_text(encoding="utf-8")
    if GENERATED in text:
        text = text.replace(GENERATED, all_commands(build_parser()))
    return FENCE.sub("", text)


@cache
def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    dead = []
    for link in LINK.findall(text_of(page)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not link.startswith("http") and (
            not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target))
        ):
            dead.append(link)
    assert dead == []


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each seqdropout command in a block of code; synopses with brackets or bars are none."""
    for _, language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in code.replace("\\\n", " ").splitlines():
            line = line.split(" # ")[0].strip()
            if language in ("", "bash") and line.startswith("seqdropout ") and not re.search(r"\[|\||\.\.\.", line):
                yield shlex.split(line)[1:]


@pages
def test_every_command_of_a_page_is_one_that_the_parser_takes(page):
    for words in commands(page):
        # a number may be a variable of the shell
        build_parser().parse_args(["0" if word == "$SLURM_ARRAY_TASK_ID" else word for word in words])


def test_the_pages_hold_commands():
    named = {words[0] for page in PAGES for words in commands(page)}
    assert named > {"convert", "predict", "evaluate", "study", "dicom"}


def test_the_readme_is_read_in_a_few_minutes():
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").split()) <= 600


def nav(entries: object) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    for entry in entries.values() if isinstance(entries, dict) else entries if isinstance(entries, list) else []:
        yield from nav(entry)


def test_every_page_is_in_the_navigation():
    text = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8")
    named = yaml.safe_load(text[text.index("nav:\n") :])["nav"]
    assert sorted(nav(named)) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from below(command)


def test_the_command_page_has_every_option_of_every_command():
    chapters = dict(re.findall(r"^##+ (.+)\n((?:(?!#).*\n?)*)", all_commands(build_parser()), re.MULTILINE))
    assert {*chapters} == {"All commands", *(command.prog for command in below(build_parser()))}
    for command in below(build_parser()):
        shown = chapters["All commands"] + chapters[command.prog]
        for action in command._actions:
            assert all(f"`{flag}" in shown for flag in action.option_strings)


def test_every_command_shows_examples_that_its_parser_takes():
    root = build_parser()
    for command in below(root):
        shown = command.epilog or ""
        title, *lines = shown.splitlines()
        assert title == ("example:" if len(lines) == 1 else "examples:")
        assert shown in all_commands(root)
        for line in lines:
            words = shlex.split(re.sub(r'^eval "\$\((.+)\)"$', r"\1", line.strip()))
            assert " ".join(words).startswith(f"{command.prog} ")
            root.parse_args(words[1:])


def test_the_help_shows_the_commands_of_the_readme():
    shown = re.findall(r"^  (.+)", build_parser().epilog or "", re.MULTILINE)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [line.split()[0] for line in shown[1:]] == [
        "seqdropout",
        *["nnUNetv2_plan_and_preprocess", "nnUNetv2_train"],
        *["seqdropout"] * 2,
    ]
    assert f"`{shown[0]}`" in readme
    assert "\n".join(shown[1:]) in readme


def test_the_command_page_says_what_the_help_says(capsys):
    with pytest.raises(SystemExit):
        main(["fill", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    page = all_commands(build_parser())
    help_of_m = "odel folder (TRAINER__PLANS__CONFIGURATION)"
    assert help_of_m in printed
    assert help_of_m.replace("_", r"\_") in page
    # what Markdown would take for HTML
    assert "Folder of &lt;case&gt;\\_XXXX images, some missing." in page


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading of the page of settings: name -> the other cells."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page.split(f"## {heading}\n")[1].split("\n## ")[0], re.MULTILINE)
    return {name: [cell.strip().strip("`") for cell in rest.split("|")] for name, rest in rows}


@pytest.mark.parametrize(
    ("heading", "trainer"),
    [
        ("Of all our trainers", ConfiguredTrainer),
        ("Of the 2.5D networks", DeepLab25D),
        ("Of sequence dropout", WithSequenceDropout),
    ],
)
def test_the_page_of_settings_has_those_of_the_trainers_with_their_defaults(heading, trainer):
    of_all = set() if trainer is ConfiguredTrainer else declared_settings(ConfiguredTrainer)
    rows = table(heading)
    assert {*rows} == declared_settings(trainer) - of_all
    for name, (default, *_) in rows.items():
        assert ast.literal_eval(default) == getattr(trainer, name)


def test_the_page_of_settings_says_what_differs_in_the_plus_trainers():
    differing = {name: plus for name, (_, plus, *_) in table("Of the 2.5D networks").items() if plus}
    assert {name: ast.literal_eval(plus) for name, plus in differing.items()} == {
        name: getattr(DeepLab25DPlus, name)
        for name in declared_settings(DeepLab25D) - {"optimizer_type"}
        if getattr(DeepLab25DPlus, name) != getattr(DeepLab25D, name)
    }
    assert DeepLab25DPlus.optimizer_type == "adamw"


def test_the_version_is_everywhere_the_same():
    """``make release`` builds what setup.py says."""
    patterns = {
        "setup.py": r'^    version="(.+)",$',
        "CITATION.cff": r"^version: (.+)$",
        "CHANGELOG.md": r"^## ([0-9.]+) - \d{4}-\d\d-\d\d$",
    }
    texts = {name: (PROJECT / name).read_text(encoding="utf-8") for name in patterns}
    latest = [re.findall(pattern, texts[name], re.MULTILINE)[0] for name, pattern in patterns.items()]
    assert len(set(latest)) == 1
