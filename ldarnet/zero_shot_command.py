"""`ldarnet model variants` and `ldarnet model knockouts`: what a model finds unlikely, without having been taught."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say

Fasta = Annotated[str, typer.Option(help="The genome.", metavar="FILE|NAME")]
Out = Annotated[
    Path, typer.Option(help="Table to write, - for standard output; FILE.json says how.", metavar="FILE.tsv|-")
]
Model = Annotated[str, typer.Option(help="A preset, a model file or a hub id.", metavar="NAME|FILE|ID")]
Window = Annotated[
    int | None, typer.Option(min=2, help="Bases read at once. [default: the model's training context]", metavar="BP")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
RandomWeights = Annotated[bool, typer.Option("--random-weights", help="Run a preset untrained.")]


class MethodOption(StrEnum):
    """--method"""

    auto = "auto"
    next_base = "next-base"
    hidden_base = "hidden-base"


def variants_command(
    fasta: Fasta,
    vcf: Annotated[Path, typer.Option(help="Variants of it (plain or .gz).", metavar="FILE")],
    out: Out,
    model: Model = "default",
    both_strands: Annotated[
        bool, typer.Option(help="Mean of the scores of the two strands, or the forward strand's alone.")
    ] = True,
    orfs: Annotated[
        bool, typer.Option("--orfs", help="Count changed codons in open reading frames of 300 bases or more.")
    ] = False,
    method: Annotated[
        MethodOption, typer.Option(help="next-base needs a causal model, hidden-base a masked one.")
    ] = MethodOption.auto,
    window: Window = None,
    device: Device = "auto",
    random_weights: RandomWeights = False,
) -> None:
    """How much more likely, in nats, the sequence is with a variant than without it.

    Causal models compare whole windows; masked ones hide the changed bases and compare the letters (substitutions
    only). Beside the score stand counts that need no model: changed bases, codons and amino acids.
    """
    with friendly_errors():
        from ldarnet.zero_shot import ZeroShotRequest, write_variants

        request = ZeroShotRequest(fasta, out, model, window, device, random_weights, tuple(sys.argv))
        write_variants(request, vcf, both_strands=both_strands, with_orfs=orfs, method=method.value, say=say)


def knockouts_command(
    fasta: Fasta,
    out: Out,
    model: Model,
    min_bp: Annotated[int, typer.Option(min=30, help="Shortest reading frame.", metavar="BP")] = 300,
    max_orfs: Annotated[
        int | None, typer.Option(min=1, help="Only a random sample of this many. [default: all]", metavar="N")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sample.", metavar="N")] = 0,
    window: Window = None,
    device: Device = "auto",
    random_weights: RandomWeights = False,
) -> None:
    """How much less likely a causal model finds reading frames with a stop put in near their start.

    The frames are found here, from ATG to stop, not taken from an annotation; the knock-outs are made up and there are
    no labels. The same letters without a stop, inserted at the same place, are the control.
    """
    with friendly_errors():
        from ldarnet.zero_shot import ZeroShotRequest, write_knock_outs

        request = ZeroShotRequest(fasta, out, model, window, device, random_weights, tuple(sys.argv))
        write_knock_outs(request, min_bp=min_bp, max_orfs=max_orfs, seed=seed, say=say)
