"""The file beside every track that says how it was made."""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ldarnet import __version__
from ldarnet.census import Census
from ldarnet.tracks import TrackError
from ldarnet.tracks.atomic import whole_file

PACKAGES = ("torch", "numpy", "numba", "biopython", "pyBigWig", "safetensors")


def sidecar_path(out: Path) -> Path:
    """probs.bw -> probs.bw.json"""
    return out.with_name(f"{out.name}.json")


def versions() -> dict[str, str]:
    """Of this package, Python, and every library that has a say in the values or the file."""
    found = {"ldarnet": __version__, "python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def contig_record(census: Census) -> list[dict[str, Any]]:
    """Name, length, MD5 (SAM's M5) and counts per contig; null on those that the run did not touch."""
    return [
        {"name": c.name, "length": c.length_bp, "md5": c.md5, "N": c.num_n_bp, "IUPAC": c.num_iupac_bp}
        for c in census.contigs
    ]


def without_value(census: Census, num_values: int) -> dict[str, int]:
    """Reason -> bases asked for that have no value; with the values they add up to all asked for."""
    return {
        "N or IUPAC code": census.num_unknown,
        "first base of a contig": census.num_contig_starts,
        "no chunk of the stage before starts there": census.num_possible - num_values,
    }


def write_sidecar(out: Path, record: Mapping[str, Any]) -> None:
    """Write the sidecar of a finished track, whole or not at all. Raises TrackError."""
    path = sidecar_path(out)
    try:
        with whole_file(path) as file:
            file.write((json.dumps(record, indent=2) + "\n").encode())
    except OSError as error:
        raise TrackError(f"could not write {path}: {error.strerror}; {out.name} beside it is whole") from error
