"""`ldarnet compare`: options to one comparison of segmenters, its files, and a summary line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say


def compare_command(
    fasta: Annotated[Path, typer.Option(help="The genome.", metavar="FILE|NAME")],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and report.", metavar="FOLDER")],
    track: Annotated[
        list[str] | None,
        typer.Option(help="A model's track (.bw .npz .bedGraph), or chunks (.bed); repeatable.", metavar="NAME=FILE"),
    ] = None,
    stage_track: Annotated[
        list[str] | None,
        typer.Option(
            help="Track of a later stage, with values at chunks of the stage before; repeatable.", metavar="NAME=FILE"
        ),
    ] = None,
    segmenter: Annotated[
        list[str] | None,
        typer.Option(
            help="fixed:N, kmer:K, bpe:TOKENS, entropy:ORDER, random, shuffled:NAME, annotation:exon, annotation:CDS "
            "or annotation:site; repeatable. [default: what the input allows]",
            metavar="KIND",
        ),
    ] = None,
    regions: Annotated[
        str | None, typer.Option(help="Compare here: BED, chr:a-b or chr. [default: everywhere]", metavar="BED|chr:a-b")
    ] = None,
    train_regions: Annotated[
        str | None, typer.Option(help="Fit bpe and entropy here; no base of --regions.", metavar="BED|chr:a-b")
    ] = None,
    train_fasta: Annotated[
        Path | None, typer.Option(help="Genome of --train-regions. [default: --fasta]", metavar="FILE|NAME")
    ] = None,
    annotation: Annotated[
        Path | None, typer.Option(help="Transcripts (GTF, GFF3, BED12): sites and exon edges.", metavar="FILE|NAME")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="Table contig, chrom, start, end, strand, as for align.", metavar="TSV"),
    ] = None,
    panel: Annotated[
        str, typer.Option(help="Site classes: default, transcripts, or a TOML file.", metavar="NAME|TOML")
    ] = "default",
    motifs: Annotated[
        Path | None,
        typer.Option(help="Matrices (JASPAR, MEME). [default: four core promoter motifs]", metavar="FILE"),
    ] = None,
    motif_p: Annotated[
        float, typer.Option(min=1e-9, max=0.1, help="Chance of a motif hit at one place of one strand.")
    ] = 1e-4,
    rate: Annotated[
        float | None,
        typer.Option(help="Common rate, in cuts per base. [default: that of the first track]", metavar="R"),
    ] = None,
    block: Annotated[
        int | None, typer.Option(min=100, help="Bases of a block. [default: 25,000, or fewer]", metavar="BP")
    ] = None,
    cuts_format: Annotated[
        str | None,
        typer.Option(help="Write every segmenter's compared cuts as tracks: bw, npz, bed, ...", metavar="SUFFIX"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 1,
) -> None:
    """Where segmenters cut the same sequence: models, grids, tokenizers, random cuts, annotation, on one scale.

    Overlap of cuts at one rate, chunk lengths, tokens per motif and cuts at annotated sites, each beside what chance
    gives. A segmenter that cannot be run is listed with the reason.
    """
    from ldarnet_analysis.compare_request import CompareRequest  # light: no pandas yet
    from ldarnet_analysis.segment_specs import parse_segmenter, parse_track

    try:
        specs = tuple(map(parse_segmenter, segmenter or ()))
        tracks = [parse_track(text) for text in track or ()]
        tracks += [parse_track(text, is_stage=True) for text in stage_track or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if rate is not None and not 0 < rate < 1:
        raise typer.BadParameter(f"expected cuts per base between 0 and 1, got {rate:g}", param_hint="--rate")
    with friendly_errors():
        from ldarnet.data.names import find_annotation, find_file, find_genome

        genome = str(fasta)
        try:
            from ldarnet_analysis.compare_files import compare_files
        except ImportError as error:
            raise ValueError(f"the comparison needs more packages ({error}): pip install 'ldarnet[analysis]'") from None
        request = CompareRequest(
            out=out,
            fasta=Path(find_genome(genome)),
            tracks=tuple(tracks),
            segmenters=specs,
            regions=regions,
            train_regions=train_regions,
            train_fasta=train_fasta and Path(find_genome(str(train_fasta))),
            annotation=annotation and find_annotation(annotation, genome),
            records=records,
            panel=panel,
            motif_file=motifs and find_file(motifs),
            motif_p=motif_p,
            rate=rate,
            block_bp=block,
            cuts_format=cuts_format,
            seed=seed,
            command=tuple(sys.argv),
        )
        summary = compare_files(request, say)
    say(summary)
