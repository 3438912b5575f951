"""Figures as files: PDF, SVG and PNG that say how they were made, the same bytes for the same input.

Fonts are part of every file: PDF holds the letters it uses as TrueType (type 42, text stays text), SVG holds them as
outlines, which look alike without the font but are text no longer. No file holds a date.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ldarnet.tracks.atomic import PartialFile
from ldarnet_analysis.style import figure_style

FORMATS = ("pdf", "svg", "png")


def save_figure(
    figure: Figure, stem: Path, provenance: Mapping[str, Any], formats: Sequence[str] = FORMATS, title: str = ""
) -> list[Path]:
    """Write `stem`.pdf, .svg and .png (300 dpi) and return their paths; each appears whole or not at all.

    `provenance` (command, versions, checksums: anything JSON can hold) stands as JSON in the metadata: Keywords of
    the PDF, dc:description of the SVG, the text chunk "Provenance" of the PNG.
    """
    paths = []
    for kind in formats:
        path = stem.with_name(f"{stem.name}.{kind}")
        _write(path, figure_bytes(figure, kind, provenance, title))
        paths.append(path)
    return paths


def figure_bytes(figure: Figure, kind: str, provenance: Mapping[str, Any], title: str = "", dpi: int = 300) -> bytes:
    """The figure as the bytes of a file of that kind, metadata included; dpi is that of pixels in it."""
    if kind not in FORMATS:
        raise ValueError(f"expected a format out of {', '.join(FORMATS)}, got {kind!r}")
    out = io.BytesIO()
    with figure_style():
        if figure.get_layout_engine() is not None:
            _settle(figure)
        figure.savefig(out, format=kind, dpi=dpi, metadata=_metadata(kind, provenance, title))
    return out.getvalue()


def _settle(figure: Figure) -> None:
    """Lay the figure out once; a layout engine would do it again, slowly, for each file."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)


def _metadata(kind: str, provenance: Mapping[str, Any], title: str) -> dict[str, Any]:
    # ASCII, as the text of a PDF would otherwise be UTF-16, which no one can search for
    text = json.dumps(dict(provenance), sort_keys=True, allow_nan=False)
    title = title or "ldarnet analysis"
    if kind == "pdf":
        return {"Title": title, "Keywords": text, "Creator": "ldarnet", "Producer": None, "CreationDate": None}
    if kind == "svg":
        return {"Title": title, "Description": text, "Creator": "ldarnet", "Date": None}
    return {"Title": title, "Provenance": text, "Software": "ldarnet"}


def _write(path: Path, content: bytes) -> None:
    out = PartialFile(path)
    try:
        out.file.write(content)
        # no wait for the disk: a figure is soon drawn again, and there are many
        out.file.close()
        out.publish()
    finally:
        out.discard()
