"""`ldarnet evaluate`: options to runs of models over benchmark tasks, and their report."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ldarnet.console import friendly_errors, say

if TYPE_CHECKING:
    from ldarnet.genome import Shard

_NAME = re.compile(r"[\w.+-]{1,40}", re.ASCII)


class ModeOption(StrEnum):
    """--mode"""

    full = "full"
    lora = "lora"
    frozen = "frozen"
    probe = "probe"


class GridOption(StrEnum):
    """--grid"""

    none = "none"
    small = "small"
    published = "published"


class DtypeOption(StrEnum):
    """--dtype"""

    float32 = "float32"
    bfloat16 = "bfloat16"


def evaluate_command(
    data: Annotated[
        Path | None, typer.Option(help="Folder with the files of the suites, at any depth.", metavar="FOLDER")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results; a killed run goes on there.")] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            help="Names with commas (H3K4me1, gue/H3), or suites (nt, gb, gue); repeatable. [default: all with files]",
            metavar="NAMES",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="As for boundaries, or kmer-1 to kmer-6 (counts, for a probe); repeatable. [default: default]",
            metavar="[NAME=]SOURCE",
        ),
    ] = None,
    genome: Annotated[
        list[str] | None,
        typer.Option(
            help="Where Genomic Benchmarks are cut from; CLASS=FILE for one class only; repeatable.",
            metavar="[CLASS=]FILE|NAME",
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="Folds; 1 takes the published splits once.", metavar="N")] = 10,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every fold, with seeds 0, 1, ...", metavar="N")] = 1,
    mode: Annotated[
        ModeOption, typer.Option(help="What is trained: all weights, low-rank changes, a head, a linear probe.")
    ] = ModeOption.full,
    grid: Annotated[
        GridOption, typer.Option(help="Settings tried first: 1, 3 learning rates, or 9 of them x 4 batch sizes.")
    ] = GridOption.none,
    learning_rate: Annotated[float, typer.Option(help="Where no grid is tried.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Where the grid has none.", metavar="N")] = 64,
    max_epochs: Annotated[int, typer.Option(min=1, help="Most epochs of a run.", metavar="N")] = 100,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Longer sequences are cropped to their middle. [default: the models' shortest training context]",
            metavar="BP",
        ),
    ] = None,
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Average the scores of both strands at test.")
    ] = False,
    pretraining: Annotated[
        Path | None, typer.Option(help="What models were trained on: how much of each test set lies in it.")
    ] = None,
    pretraining_regions: Annotated[
        Path | None, typer.Option(help="Only these regions of it, as BED.", metavar="BED")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="Only share i of n of the tasks and models, into the same folder.", metavar="i/n")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[DtypeOption, typer.Option(help="Arithmetic of the model.")] = DtypeOption.float32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all]", metavar="N")] = None,
    list_tasks: Annotated[
        bool, typer.Option("--list", help="Print the tasks, and which have files in --data.")
    ] = False,
) -> None:
    """Models on public benchmarks: folds, seeds, intervals, leaks between splits, published numbers beside.

    Settings are chosen on validation only. What is there is kept: a killed run goes on, and a later one may add tasks,
    models and seeds. Results are one JSON file per fold, tables, a page and a Markdown table.
    """
    with friendly_errors():
        if list_tasks:
            from ldarnet.evaluate.listing import as_table

            typer.echo(as_table(data))
            return
        if data is None or out is None:
            raise typer.BadParameter("both are needed, unless --list is given", param_hint="--data and --out")
        if pretraining_regions is not None and pretraining is None:
            raise typer.BadParameter("needs the FASTA that it is about", param_hint="--pretraining-regions")
        from ldarnet.genome import parse_shard

        try:
            share = parse_shard(shard) if shard else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--shard") from None
        try:
            from ldarnet_analysis.evaluation_report import write_report
        except ImportError as error:
            raise ValueError(f"the report needs more packages ({error}): pip install 'ldarnet[analysis]'") from None
        import torch

        from ldarnet.evaluate.run import EvaluationRequest, run_evaluation
        from ldarnet.finetune import FineTuneSettings

        if threads is not None:
            torch.set_num_threads(threads)
        share, device = _of_this_process(share, device, torch.cuda.is_available())
        request = EvaluationRequest(
            tasks=tuple(name.strip() for text in tasks or () for name in text.split(",") if name.strip()),
            models=_models(model or ["default"]),
            data=data,
            out=out,
            genomes=tuple(genome or ()),
            num_folds=folds,
            num_seeds=seeds,
            grid=grid.value,
            settings=FineTuneSettings(
                mode=mode.value,
                learning_rate=learning_rate,
                batch_size=batch_size,
                max_epochs=max_epochs,
                reverse_complement_at_test=both_strands,
                dtype=dtype.value,
                device=device,
            ),
            max_bp=max_length,
            pretraining=None if pretraining is None else (str(pretraining), _text(pretraining_regions)),
            shard=share,
        )
        outcome = run_evaluation(request, say=say)
        if not outcome.num_folds:
            say(f"share {share}: there are fewer tasks and models than shares; nothing is left for this one")
            return
        page = write_report(out)
    failed = f", {len(outcome.failures)} tasks and models not run" if outcome.failures else ""
    say(f"{out}: {outcome.num_folds:,} folds{failed}; open {page}")


def _of_this_process(share: "Shard | None", device: str, has_cuda: bool) -> "tuple[Shard | None, str]":
    """The share and the device of a process that torchrun started; as they were given without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or (num := int(os.environ["WORLD_SIZE"])) == 1:
        return share, device
    from ldarnet.genome import Shard

    number, count = (share.number, share.count) if share else (1, 1)
    mine = Shard((number - 1) * num + int(os.environ["RANK"]) + 1, count * num)
    is_any = device == "cuda" or (device == "auto" and has_cuda)
    return mine, f"cuda:{os.environ['LOCAL_RANK']}" if is_any else device


def _models(given: list[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for text in given:
        name, separator, source = text.partition("=")
        if not separator or Path(text).exists():
            name, source = (text if _NAME.fullmatch(text) else Path(text).stem), text
        if not _NAME.fullmatch(name):
            raise ValueError(f"--model {text}: expected a name of letters, digits, '.', '-', '_', '+', got {name!r}")
        if name in models:
            raise ValueError(f"--model {text}: the name {name} is taken; give another as NAME=SOURCE")
        models[name] = source
    return models


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
