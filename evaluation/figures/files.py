"""Writes a figure as PNG and PDF; the same figure gives the same bytes."""

from pathlib import Path

from matplotlib.figure import Figure


def write_figure(figure: Figure, stage: Path, name: str, *, dpi: int) -> None:
    figure.savefig(stage / f"{name}.png", dpi=dpi)
    # the PDF would hold the time
    figure.savefig(stage / f"{name}.pdf", dpi=dpi, metadata={"CreationDate": None})
