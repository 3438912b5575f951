"""A UCSC assembly hub: any genome, with its tracks, by paths relative to the hub's files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ldarnet_app.igv_session import rgb
from ldarnet_app.view import View

if TYPE_CHECKING:
    from ldarnet_app.export import ExportedTrack

SHORT_LABEL_LETTERS, LONG_LABEL_LETTERS = 17, 76
EMAIL = "your.name@example.org"
THRESHOLD = 0.5


def hub_files(genome: str, twobit: str, tracks: Sequence["ExportedTrack"], view: View) -> dict[str, str]:
    """hub.txt, genomes.txt and trackDb.txt by name. UCSC counts bases from 1."""
    hub = {
        "hub": "ldarnet",
        "shortLabel": "ldarnet",
        "longLabel": "Boundary probabilities of a DNA language model",
        "genomesFile": "genomes.txt",
        "email": EMAIL,
    }
    assembly = {
        "genome": genome,
        "trackDb": "trackDb.txt",
        "twoBitPath": twobit,
        "organism": genome,
        "scientificName": genome,
        "description": genome,
        "defaultPos": f"{view.chrom}:{view.start + 1}-{view.end}",
    }
    return {
        "hub.txt": _stanza(hub),
        "genomes.txt": _stanza(assembly),
        "trackDb.txt": "\n".join(_stanza(_track(i, track)) for i, track in enumerate(tracks, start=1)),
    }


def _track(number: int, track: "ExportedTrack") -> dict[str, str]:
    settings = {
        "track": f"t{number}_" + "".join(letter if letter.isalnum() else "_" for letter in track.name),
        "type": f"bigWig {track.low} {track.high}",
        "bigDataUrl": track.path,
        "shortLabel": _one_line(track.label)[:SHORT_LABEL_LETTERS],
        "longLabel": f"Probability of a cut left of the base: {_one_line(track.label)}"[:LONG_LABEL_LETTERS],
        "visibility": "full",
        "autoScale": "off",
        "viewLimits": f"{track.low}:{track.high}",
        "windowingFunction": "maximum",
        "maxHeightPixels": "100:60:16",
        "color": ",".join(str(part) for part in rgb(track.colour)),
    }
    if track.low >= 0:
        settings |= {"yLineMark": str(THRESHOLD), "yLineOnOff": "on"}
    return settings


def _stanza(settings: dict[str, str]) -> str:
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "track"
