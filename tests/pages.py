"""A written HTML page as a test reads it: its texts, addresses and tables, or as a browser shows it."""

import os
import shutil
from html.parser import HTMLParser
from pathlib import Path
from subprocess import run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """The text and the addresses of a page, and its tables as rows of texts."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = [""]
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.in_cell = False
        self.feed(file.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_data(self, data):
        if self.tags[-1] in ("style", "script"):
            return
        self.texts.append(data)
        if self.in_cell:
            cell = f"{self.tables[-1][-1][-1]} {data}".replace("\N{NO-BREAK SPACE}", " ")
            self.tables[-1][-1][-1] = " ".join(cell.split())

    def handle_endtag(self, tag):
        self.tags.append("")
        self.in_cell &= tag not in ("td", "th")

    def table(self, head):
        """The first table that has this cell, without what follows it."""
        return next(table for table in self.tables if any(head in row for row in table))


def chromium(page: Path, *options: str) -> tuple[str, str]:
    """What it wrote and what it logged."""
    assert CHROMIUM is not None
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    fixed = [
        "--headless=new",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
    ]
    done = run(
        [CHROMIUM, *fixed, *as_root, f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout, done.stderr
