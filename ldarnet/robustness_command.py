"""`ldarnet robustness`: options to one measurement, its tables, figures and page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


def robustness_command(
    fasta: Annotated[
        str, typer.Option(help="FASTA (plain, gzip, bgzip), .2bit, or a name such as hg38.", metavar="FILE|NAME")
    ],
    out: Annotated[Path, typer.Option(help="Folder for table, figures and page.", metavar="FOLDER")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="As for boundaries; repeated, models are held against each other. [default: default]",
            metavar="NAME|FILE|ID",
        ),
    ] = None,
    regions: Annotated[
        str | None, typer.Option(help="Windows and consensus from these only.", metavar="BED|chr:a-b")
    ] = None,
    num_windows: Annotated[int, typer.Option(min=1, help="Windows drawn; they do not overlap.", metavar="N")] = 500,
    window: Annotated[
        int | None,
        typer.Option(
            min=8, help="Bases the models read at once. [default: the shortest training context]", metavar="BP"
        ),
    ] = None,
    max_shift: Annotated[
        int, typer.Option(min=1, help="Largest shift of a window: 1, 2, 4, ... up to this.", metavar="BP")
    ] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    consensus: Annotated[
        Path | None,
        typer.Option(
            help="Track of the cuts that all models make, over --regions: .bw .bedGraph[.gz] .npz, .bed for chunks.",
            metavar="FILE",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    batch_tokens: Annotated[
        int, typer.Option(min=1, help="Bases that go through a model together.", metavar="N")
    ] = 4096,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all]", metavar="N")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds files already.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """How steady the cuts of a model are, on windows drawn from a genome: a table, figures and an offline page.

    Under reverse complement, shifts, masks, single edits, bfloat16 and padding, and between models; every number with
    an interval over windows and the value that unrelated cuts at the same rate would give.
    """
    with friendly_errors():
        try:
            from ldarnet_analysis.robustness_report import check_folder, write_report
        except ImportError as error:
            raise ValueError(f"the report needs more packages ({error}): pip install 'ldarnet[analysis]'") from None
        from ldarnet.robustness.run import RobustnessRequest, run_robustness

        check_folder(out, force=force)
        request = RobustnessRequest(
            fasta=fasta,
            models=tuple(model or ["default"]),
            regions=regions,
            num_windows=num_windows,
            window_bp=window,
            max_shift_bp=max_shift,
            seed=seed,
            consensus=consensus,
            device=device,
            batch_tokens=batch_tokens,
            num_threads=threads,
            show_progress=not quiet,
            command=tuple(sys.argv),
        )
        measured, facts = run_robustness(request, say=say)
        summary = write_report(out, measured, facts, seed=seed)
    say(summary)
