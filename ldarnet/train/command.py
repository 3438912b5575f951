"""`ldarnet train`: options to settings, one call, one summary line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


def train_command(
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on there.", metavar="FOLDER")],
    config: Annotated[Path | None, typer.Option(help="Settings: [model], [[genome]], [train].", metavar="TOML")] = None,
    preset: Annotated[str | None, typer.Option(help="Model shape, such as ldarnet-2m.", metavar="NAME")] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(
            help="What to change of the preset, such as fixed-4 (ldarnet model ablations); repeatable.", metavar="NAME"
        ),
    ] = None,
    fasta: Annotated[
        list[str] | None,
        typer.Option(help="Genomes to train on: FASTA (plain, gzip, bgzip) or .2bit; several allowed.", metavar="FILE"),
    ] = None,
    intervals: Annotated[
        list[Path] | None,
        typer.Option(
            help="BED of the stretches to use; its 4th column names the split (train, valid). One for each --fasta.",
            metavar="BED",
        ),
    ] = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            help="Shards read as a stream (.fa[.gz], .jsonl[.gz]), or a folder of `ldarnet data shard`.", metavar="FILE"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.", metavar="N")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Save and stop after so long; the same command goes on.", metavar="S")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: train.learning_rate=1e-3, model.d_state=64.", metavar="KEY=VALUE"),
    ] = None,
) -> None:
    """Train a model on masked letters, or (causal) on the next; a killed run goes on with the same command.

    For several GPUs: torchrun --nproc-per-node=K -m ldarnet.train --config run.toml --out runs/x
    """
    with friendly_errors():
        from ldarnet.train.loop import train
        from ldarnet.train.settings import load_settings, parse_override

        overrides = dict(parse_override(text) for text in set_ or [])
        flags = {
            "model.preset": preset,
            "train.num_steps": steps,
            "train.device": device,
            "train.max_seconds": max_seconds,
            "train.shards": shards or None,
        }
        overrides |= {key: value for key, value in flags.items() if value is not None}
        if config is None and not fasta and not overrides.keys() & {"genome", "train.shards", "train.dataset"}:
            raise ValueError("nothing to train on: expected --fasta, --shards or a --config with [[genome]] tables")
        if fasta:
            beds = [str(path) for path in intervals or ()]
            if beds and len(beds) != len(fasta):
                raise typer.BadParameter(
                    f"expected one for each of the {len(fasta)} genomes, in their order, got {len(beds)}; or name them "
                    "in a --config",
                    param_hint="--intervals",
                )
            overrides["genome"] = [
                {"fasta": file, **({"intervals": beds[number]} if beds else {})} for number, file in enumerate(fasta)
            ]
        elif intervals:
            raise typer.BadParameter("--intervals goes with --fasta", param_hint="--intervals")
        result = train(load_settings(config, overrides, ablation or ()), out, say=say)
    if result.signal_number:
        raise typer.Exit(128 + result.signal_number)


def expand_lists(arguments: Sequence[str]) -> list[str]:
    """`--fasta a b` as `--fasta a --fasta b`: what people type, in the form the parser knows."""
    expanded: list[str] = []
    current = ""
    for argument in arguments:
        if argument.startswith("-"):
            current = argument if argument in ("--fasta", "--intervals", "--shards") else ""
            expanded.append(argument)
        elif current and expanded[-1] != current:
            expanded += [current, argument]
        else:
            expanded.append(argument)
    return expanded
