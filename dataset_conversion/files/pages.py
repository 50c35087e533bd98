"""Renders HTML pages from Jinja templates: values are escaped, undefined names raise errors, pictures are embedded."""

import base64
from pathlib import Path

import jinja2

from dataset_conversion.plurals import counted, n_of


def templates(folder: Path) -> jinja2.Environment:
    """The templates of a folder, with the filters ``webp``, the bytes of a picture as a data URI, and those that count
    in words."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["webp"] = lambda picture: data_uri(picture, "image/webp")
    pages.filters |= {"counted": counted, "n_of": n_of}
    return pages


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
