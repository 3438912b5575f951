"""`ldarnet merge`: the tracks of all shards to one."""

from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


def merge_command(
    parts: Annotated[list[Path], typer.Argument(help="Tracks of all shards, in any order.", metavar="PART...")],
    out: Annotated[
        list[Path], typer.Option(help="The whole track: .bw .bedGraph[.gz] .npz .bed; may be repeated.", metavar="FILE")
    ],
) -> None:
    """Join the tracks that `ldarnet-boundaries --shard i/n` wrote.

    The result is byte for byte the track of one run. Parts of different models, settings or FASTAs, missing or double
    ones are refused; each needs the .json that was written beside it.
    """
    with friendly_errors():
        from ldarnet.merge import merge_tracks

        num_values = merge_tracks(parts, out, say=say)
    say(f"{', '.join(map(str, out))}: {num_values:,} values")
