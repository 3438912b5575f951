"""`ldarnet data`: what can be fetched by name, fetching it, and looking at it again."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say

data_app = typer.Typer(
    help="Genomes, annotations, motifs, benchmarks and checkpoints by name.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder that data are kept in. [default: $LDARNET_CACHE, or the system's]", metavar="FOLDER"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]


class KindOption(StrEnum):
    """--kind"""

    genomes = "genomes"
    annotations = "annotations"
    promoters = "promoters"
    signals = "signals"
    motifs = "motifs"
    benchmarks = "benchmarks"
    pretraining = "pretraining"
    checkpoints = "checkpoints"


@data_app.command("list")
def list_command(
    kind: Annotated[KindOption | None, typer.Option(help="Only this kind.")] = None,
    assembly: Annotated[str | None, typer.Option(help="Only what lies on this one: GRCh38.", metavar="NAME")] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every name that `get` knows; column `here` has the size of what is in the cache."""
    with friendly_errors():
        from ldarnet.data.cache import cache_root
        from ldarnet.data.listing import as_table, rows

        found = rows(cache_root(cache), kind.value if kind else None, assembly)
        if not found:
            asked = " ".join(each for each in (kind.value if kind else "", assembly or "") if each)
            raise ValueError(f"no entry is of {asked}: `ldarnet data list` without options shows all of them")
        typer.echo(json.dumps(found, indent=2) if as_json else as_table(found))


@data_app.command("info")
def info_command(
    name: Annotated[str, typer.Argument(help="A name that `list` shows.")],
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Address, licence, citation, assembly and coordinates of an entry, and where it lies."""
    with friendly_errors():
        from ldarnet.data.cache import cache_root
        from ldarnet.data.listing import as_lines, facts
        from ldarnet.manifests import find_entry

        known = facts(find_entry(name), cache_root(cache))
        typer.echo(json.dumps(known, indent=2) if as_json else as_lines(known))


@data_app.command("get")
def get_command(
    names: Annotated[list[str], typer.Argument(help="Names that `list` shows.", metavar="NAME")],
    cache: CacheOption = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            help="Fetch from ADDRESS/host/path instead of https://host/path. [default: $LDARNET_MIRROR]",
            metavar="ADDRESS",
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Go on where the publisher's checksums cannot be had.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Fetch what is there once more.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Fetch, verify and prepare; prints the path of each. A stopped download goes on with the same command."""
    with friendly_errors():
        from ldarnet.data.addresses import check_scheme
        from ldarnet.data.cache import cache_root
        from ldarnet.data.errors import DataError
        from ldarnet.data.fetch import Fetching, get
        from ldarnet.manifests import find_entry

        entries = [find_entry(name) for name in dict.fromkeys(names)]
        from_mirror = mirror or os.environ.get("LDARNET_MIRROR")
        if mirror:
            try:
                check_scheme(mirror)
            except DataError as error:
                raise typer.BadParameter(str(error), param_hint="--mirror") from None
        root = cache_root(cache)
        how = Fetching(
            root=root, say=say, mirror=from_mirror, unverified=unverified, again=again, show_progress=not quiet
        )
        for entry in entries:
            receipt = get(entry, how)
            say(f"{entry.name}: {len(receipt.files):,} files; licence: {entry.licence}; cite: {entry.citation}")
            typer.echo(root / "data" / entry.name / receipt.main)
    if cache is not None and cache.absolute() != cache_root().absolute():
        say(f"other commands look for names in {cache_root()}: set LDARNET_CACHE={cache} for them")


@data_app.command("verify")
def verify_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names in the cache. [default: all]", metavar="NAME")
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Read what is in the cache again and hold it against the checksums of the day it was fetched."""
    with friendly_errors():
        from ldarnet.data.cache import cache_root, kept_names
        from ldarnet.data.fetch import verify
        from ldarnet.manifests import find_entry

        root = cache_root(cache)
        wanted = [find_entry(name).name for name in names] if names else kept_names(root)
        if not wanted:
            raise ValueError(f"nothing to verify: the cache {root} holds no data yet (ldarnet data get NAME)")
        wrong = []
        for name in wanted:
            found = verify(root, name)
            wrong += found
            typer.echo(f"{name}\t{'damaged' if found else 'ok'}")
        if wrong:
            raise ValueError("\n".join(wrong))
