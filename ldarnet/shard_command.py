"""`ldarnet data shard` and `ldarnet data shards`: corpora that do not fit into memory."""

from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say

_MB = 1_000_000


def shard_command(
    fasta: Annotated[
        list[str],
        typer.Argument(
            help="FASTA (plain, gzip, bgzip) or .2bit; a source is named after its file.", metavar="[NAME=]FILE"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the shards.", metavar="FOLDER")],
    shard_mb: Annotated[
        int, typer.Option(min=1, help="Million bases that fill a shard; contigs stay whole.", metavar="N")
    ] = 1_000,
) -> None:
    """Turn sequences into shards of two bits a base, for ldarnet train --shards FOLDER; memory stays constant.

    The same command goes on where a stopped one was. FOLDER/shards.json says which files went in.
    """
    with friendly_errors():
        from ldarnet.train.sequence_shards_make import parse_source, write_shards

        index = write_shards([parse_source(text) for text in fasta], out, shard_bp=shard_mb * _MB, say=say)
    num_bases = sum(each["bases"] for each in index["shards"])
    num_contigs = sum(each["contigs"] for each in index["shards"])
    say(f"{out}: {num_bases:,} bases of {num_contigs:,} contigs in {len(index['shards']):,} shards")


def shards_command(
    folder: Annotated[Path, typer.Argument(help="A folder that `ldarnet data shard` wrote.", metavar="FOLDER")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every base and check it.")] = False,
) -> None:
    """What a folder of shards holds, one source a line: name, contigs, bases."""
    with friendly_errors():
        from ldarnet.train.sequence_shards_corpus import ShardFolder

        opened = ShardFolder(folder)
        for name, (first, num) in opened.sources.items():
            typer.echo(f"{name}\t{num}\t{int(opened.columns(first, num, 'length_bp').sum())}")
        if verify:
            for shard in opened.shards:
                shard.verify()
    say(f"{folder}: {len(opened.shards):,} shards" + (", every base as it was written" if verify else ""))
