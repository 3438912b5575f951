"""`ldarnet finetune`: options to one run, one summary line."""

import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


class ModeOption(StrEnum):
    """--mode"""

    full = "full"
    lora = "lora"
    frozen = "frozen"
    probe = "probe"


class TaskOption(StrEnum):
    """--task"""

    classification = "classification"
    multilabel = "multilabel"
    regression = "regression"


class DtypeOption(StrEnum):
    """--dtype"""

    float32 = "float32"
    bfloat16 = "bfloat16"


Labelled = "CSV or TSV with a header, or FASTA with `label=` or `|label` in the header; plain or gzip."


def finetune_command(
    train: Annotated[Path, typer.Option(help=f"Sequences to learn from: {Labelled}", metavar="FILE")],
    valid: Annotated[Path, typer.Option(help="Sequences that say when to stop, alike.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on there.", metavar="FOLDER")],
    test: Annotated[Path | None, typer.Option(help="Sequences to predict in the end, alike.", metavar="FILE")] = None,
    model: Annotated[
        str, typer.Option(help="default, a preset, a model file, or a hub id.", metavar="NAME|FILE|ID")
    ] = "default",
    task: Annotated[TaskOption, typer.Option(help="What a label is.")] = TaskOption.classification,
    mode: Annotated[
        ModeOption,
        typer.Option(
            help="What is trained: all weights; low-rank changes of the linear layers; the head alone; or the head as "
            "a penalised regression, solved."
        ),
    ] = ModeOption.full,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW; a probe has none.", metavar="RATE")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences per step.", metavar="N")] = 64,
    weight_decay: Annotated[float, typer.Option(min=0, metavar="X", help="Of AdamW.")] = 0.1,
    max_epochs: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 100,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation that end the run.", metavar="N")
    ] = 5,
    select_by: Annotated[
        str | None,
        typer.Option(help="What a better validation is, or loss. [default: mcc, auroc or pearson]", metavar="METRIC"),
    ] = None,
    rank: Annotated[int, typer.Option(min=1, help="Of low-rank changes.", metavar="N")] = 8,
    reverse_complement: Annotated[
        bool, typer.Option("--reverse-complement", help="Predict the test set as the mean of both strands.")
    ] = False,
    few_shot: Annotated[
        bool,
        typer.Option(
            "--few-shot", help="Also 16, 64 and 256 sequences per class on the model as it came: few_shot.tsv."
        ),
    ] = False,
    sequence_column: Annotated[str, typer.Option(metavar="NAME", help="Of a table.")] = "sequence",
    label_column: Annotated[
        str, typer.Option(metavar="NAME", help="Of a table; several NAME_* columns are a multi-label task.")
    ] = "label",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1, help="The middle of longer sequences is used. [default: the training context]", metavar="BP"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the head and of the order.", metavar="N")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[DtypeOption, typer.Option(help="Arithmetic of the body.")] = DtypeOption.float32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all]", metavar="N")] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Save and stop after so long; the same command goes on.", metavar="S")
    ] = None,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="A preset untrained, to compare.")] = False,
) -> None:
    """Teach a model a labelled task: a linear head on the mean of its last hidden states.

    FOLDER then holds model.safetensors and head.safetensors, metrics.json, predictions.tsv (of the test set) and
    log.jsonl. All figures are computed over all predictions at once.
    """
    with friendly_errors():
        import torch

        from ldarnet.finetune import FineTuneSettings
        from ldarnet.finetune.run import FineTuneRequest, run_finetune

        if few_shot and task is not TaskOption.classification:
            raise typer.BadParameter("expected --task classification beside it", param_hint="--few-shot")
        if threads is not None:
            torch.set_num_threads(threads)
        settings = FineTuneSettings(
            mode=mode.value,
            task=task.value,
            learning_rate=learning_rate,
            batch_size=batch_size,
            weight_decay=weight_decay,
            max_epochs=max_epochs,
            patience=patience,
            select_by=select_by,
            rank=rank,
            seed=seed,
            reverse_complement_at_test=reverse_complement,
            dtype=dtype.value,
            device=device,
            max_seconds=max_seconds,
        )
        record = run_finetune(
            FineTuneRequest(
                model=model,
                train=train,
                valid=valid,
                test=test,
                out=out,
                settings=settings,
                sequence_column=sequence_column,
                label_column=label_column,
                max_bp=max_length,
                few_shot=few_shot,
                random_weights=random_weights,
                command=tuple(sys.argv),
            ),
            say=say,
        )
    if record is not None:
        name = "test" if "test" in record else "valid"
        figures = ", ".join(f"{key} {value:.4f}" for key, value in record[name].items() if not math.isnan(value))
        say(f"{out}: {figures} ({name}, epoch {record['best_epoch']} of {record['epochs']})")
