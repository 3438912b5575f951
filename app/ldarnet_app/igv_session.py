"""An IGV session: a genome and its tracks by paths relative to the session's own file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ldarnet_app.view import View

if TYPE_CHECKING:
    from ldarnet_app.export import ExportedTrack

TRACK_HEIGHT_PX = 80


def igv_session(genome: str, tracks: Sequence["ExportedTrack"], annotation: str | None, view: View) -> str:
    """The session as XML. Paths are relative; IGV counts bases from 1."""
    locus = f"{view.chrom}:{view.start + 1}-{view.end}"
    session = ElementTree.Element("Session", genome=genome, locus=locus, version="8")
    resources = ElementTree.SubElement(session, "Resources")
    panel = ElementTree.SubElement(session, "Panel", name="DataPanel")
    for track in tracks:
        ElementTree.SubElement(resources, "Resource", path=track.path, type="bw", name=track.label)
        drawn = ElementTree.SubElement(
            panel,
            "Track",
            id=track.path,
            name=track.label,
            autoScale="false",
            color=",".join(str(part) for part in rgb(track.colour)),
            height=str(TRACK_HEIGHT_PX),
            renderer="BAR_CHART",
            windowFunction="max",
            visible="true",
        )
        ElementTree.SubElement(
            drawn,
            "DataRange",
            type="LINEAR",
            baseline="0.0",
            drawBaseline="true",
            minimum=str(track.low),
            maximum=str(track.high),
        )
    if annotation is not None:
        ElementTree.SubElement(resources, "Resource", path=annotation)
        ElementTree.SubElement(panel, "Track", id=annotation, name="genes", displayMode="EXPANDED", visible="true")
    ElementTree.indent(session)
    return '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n' + ElementTree.tostring(session, "unicode") + "\n"


def rgb(colour: str) -> tuple[int, int, int]:
    """0 to 255 each, of #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
