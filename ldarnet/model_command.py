"""`ldarnet model ablations`, `compare` and `tokens`: what there is to train beside a model, and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


def ablations_command() -> None:
    """What `ldarnet train --ablation` and `ldarnet model compare` know by name."""
    from ldarnet.ablations import ABLATIONS

    width = max(map(len, ABLATIONS))
    for ablation in ABLATIONS.values():
        typer.echo(f"{ablation.name:<{width}}  {ablation.what}")


def model_compare_command(
    models: Annotated[
        list[str],
        typer.Argument(
            help="default, presets, presets with ablations (ldarnet-2m+fixed-4), model files, hub ids.",
            metavar="MODEL...",
        ),
    ],
    fasta: Annotated[str | None, typer.Option(help="Measure the chunks on this sequence.", metavar="FILE|NAME")] = None,
    regions: Annotated[str | None, typer.Option(help="Only here: BED, chr:a-b or chr.", metavar="BED|chr:a-b")] = None,
    max_bases: Annotated[
        int, typer.Option(min=1, help="Measure on so many bases, in windows at equal distances.", metavar="BP")
    ] = 1_000_000,
    tokens_per_chunk: Annotated[
        str | None,
        typer.Option(
            help="Where nothing is measured, one per stage, as 3,2. [default: the ablation's aim, or 4]",
            metavar="N,...",
        ),
    ] = None,
    lengths: Annotated[
        str, typer.Option(help="Lengths of sequences for the multiply-adds.", metavar="BP,...")
    ] = "4096,32768,131072",
) -> None:
    """Parameters, storage, multiply-adds per base and tokens per chunk of models.

    Multiply-adds are counted from the configuration: linear layers, attention, convolutions, the router's comparison,
    and scans by the recurrence that defines them. Norms and activations are not counted.
    """
    if regions is not None and fasta is None:
        raise typer.BadParameter("goes with --fasta", param_hint="--regions")
    if tokens_per_chunk is not None and fasta is not None:
        raise typer.BadParameter("--fasta measures it; expected one of the two", param_hint="--tokens-per-chunk")
    num_bases = [int(number) for number in _numbers(lengths, int, "--lengths")]
    chunk_lengths = None if tokens_per_chunk is None else _numbers(tokens_per_chunk, float, "--tokens-per-chunk")
    with friendly_errors():
        from ldarnet.data.names import find_genome
        from ldarnet.model_comparison import as_lines, compare_models, find_candidate

        rows = compare_models(
            [find_candidate(text) for text in models],
            lengths=num_bases,
            tokens_per_chunk=chunk_lengths,
            fasta=None if fasta is None else find_genome(fasta),
            regions=regions,
            max_bases=max_bases,
        )
        lines = as_lines(rows)
    for line in lines:
        typer.echo(line)


def tokens_command(
    out: Annotated[Path, typer.Option(help="The tokenizer (JSON), for --ablation byte-pair:FILE.", metavar="FILE")],
    config: Annotated[
        Path | None, typer.Option(help="Settings of the run: its genomes and windows.", metavar="TOML")
    ] = None,
    fasta: Annotated[list[str] | None, typer.Option(help="Genomes instead; repeatable.", metavar="FILE|NAME")] = None,
    intervals: Annotated[
        Path | None, typer.Option(help="BED of the stretches to use, as for train.", metavar="BED")
    ] = None,
    tokens: Annotated[int, typer.Option(min=5, help="Tokens, the four letters among them.", metavar="N")] = 512,
    bases: Annotated[int, typer.Option(min=1, help="Learn on so many bases.", metavar="BP")] = 4_000_000,
) -> None:
    """Learn byte pairs on the windows a run trains on: the fixed segmentation of a byte-pair twin."""
    with friendly_errors():
        from ldarnet.tracks.atomic import check_inputs_stay, check_place, write_text
        from ldarnet.train.byte_pairs import train_tokenizer
        from ldarnet.train.corpus import load_corpus
        from ldarnet.train.settings import load_settings

        if (config is None) == (not fasta):
            raise ValueError("expected genomes to learn on: --config or --fasta, one of the two")
        check_place(out)
        table = {"intervals": str(intervals)} if intervals else {}
        overrides = {"genome": [{"fasta": file, **table} for file in fasta]} if fasta else {}
        settings = load_settings(config, overrides)
        if not settings.genomes:
            raise ValueError(f"{config}: expected [[genome]] tables, got shards alone: their windows have no numbers")
        files = [("--fasta", each.fasta) for each in settings.genomes]
        files += [("--intervals", each.intervals) for each in settings.genomes if each.intervals]
        check_inputs_stay([out], [("--config", config), *files])
        corpus = load_corpus(settings.train_genomes(), settings.window_bp, settings.seed)
        tokenizer = train_tokenizer(corpus, tokens, bases)
        write_text(out, tokenizer.to_str(pretty=True))
    say(f"{out}: {tokens:,} tokens, learned on {bases:,} bases")


def _numbers(text: str, kind: type[int] | type[float], option: str) -> list[float]:
    try:
        numbers = [kind(number) for number in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"expected numbers with commas between, got {text!r}", param_hint=option) from None
    if not all(1 <= number < float("inf") for number in numbers):
        raise typer.BadParameter(f"expected numbers from 1, got {text!r}", param_hint=option)
    return list(numbers)
