"""Tracks: one float32 per base of a genome, NaN = no value, as bigWig, bedGraph, .npz or BED of chunks."""

from ldarnet.tracks.atomic import STDOUT, TrackError
from ldarnet.tracks.formats import TRACK_FORMATS, check_target, format_of, open_writer
from ldarnet.tracks.reader import Track, open_track
from ldarnet.tracks.rounding import CUT_THRESHOLD, round_values
from ldarnet.tracks.writer import TrackWriter

__all__ = [
    "CUT_THRESHOLD",
    "STDOUT",
    "TRACK_FORMATS",
    "Track",
    "TrackError",
    "TrackWriter",
    "check_target",
    "format_of",
    "open_track",
    "open_writer",
    "round_values",
]
