"""Fills pages of the site while it is built: the commands from their parser, the files of the project's root."""

import re
from pathlib import Path
from typing import Any

from docs.command_pages import all_commands
from nnunet_seqdropout.cli.command import build_parser

PROJECT = Path(__file__).resolve().parents[1]
COMMANDS = "<!-- every command, from its parser -->"
ROOT_FILE = re.compile(r"<!-- the file (\w+\.md) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the two comments, each by what it names; called by mkdocs for every page."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, all_commands(build_parser()))
    return ROOT_FILE.sub(lambda found: root_file(found[1]), markdown)


def root_file(name: str) -> str:
    """The text of a Markdown file beside README, its links as seen from docs/."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    return text.replace("](docs/", "](").replace("](CHANGELOG.md)", "](changelog.md)")
