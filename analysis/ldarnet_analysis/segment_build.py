"""From names to segmenters: each is built or has a reason why not."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pandas as pd

from ldarnet.genome import Genome, Interval
from ldarnet_analysis.panel_sites import PanelSites
from ldarnet_analysis.segment_annotation import annotated_cuts
from ldarnet_analysis.segment_bpe import BpeTokens, train_bpe
from ldarnet_analysis.segment_entropy import EntropyPatches, fit_entropy
from ldarnet_analysis.segment_rules import FixedGrid, KmerTokens, RandomCuts
from ldarnet_analysis.segment_specs import SegmenterSpec, TrackSpec
from ldarnet_analysis.segment_tracks import open_segmenter
from ldarnet_analysis.segmenters import Segmenter


class Training(NamedTuple):
    """Sequence that segmenters may be fitted on."""

    genome: Genome
    regions: tuple[Interval, ...]


class Built(NamedTuple):
    """A segmenter, or the reason why there is none."""

    name: str
    kind: str
    source: str
    segmenter: Segmenter | None
    reason: str = ""


class Sources(NamedTuple):
    """What segmenters may be made of."""

    genome: Genome
    training: Training | None = None
    sites: PanelSites | None = None
    seed: int = 1


def open_tracks(tracks: Sequence[TrackSpec], genome: Genome, stack: ExitStack) -> list[Built]:
    """The tracks; one of another genome, or that cannot be read, has the reason. They are closed with the stack."""
    found = []
    for spec in tracks:
        try:
            segmenter = open_segmenter(spec.name, spec.path, genome, is_stage=spec.is_stage)
        except (ValueError, OSError) as error:
            found.append(Built(spec.name, "track", spec.path.name, None, str(error)))
            continue
        if close := getattr(segmenter, "close", None):
            stack.callback(close)
        found.append(Built(spec.name, "track", spec.path.name, segmenter))
    return found


def build_segmenters(specs: Sequence[SegmenterSpec], sources: Sources) -> list[Built]:
    """The segmenters made of sequence or annotation; `shuffled` needs another one's cuts first, and is passed over."""
    found = []
    for spec in specs:
        if spec.kind == "shuffled":
            continue
        try:
            segmenter = _BUILDERS[spec.kind](spec, sources)
        except ValueError as error:
            found.append(Built(spec.name, spec.kind, "", None, str(error)))
            continue
        found.append(Built(spec.name, spec.kind, _fitted_on(spec, sources), segmenter))
    return found


def _fitted_on(spec: SegmenterSpec, sources: Sources) -> str:
    if spec.kind not in ("bpe", "entropy") or sources.training is None:
        return ""
    num_bp = sum(end - start for _, start, end in sources.training.regions)
    return f"{sources.training.genome.name}, {num_bp:,} bp"


def _training(sources: Sources) -> Training:
    if sources.training is None:
        raise ValueError("is fitted on sequence: give --train-regions or --train-fasta")
    return sources.training


def _bpe(spec: SegmenterSpec, sources: Sources) -> Segmenter:
    tokenizer = train_bpe(*_training(sources), spec.number)
    return BpeTokens(sources.genome, tokenizer, spec.number)


def _entropy(spec: SegmenterSpec, sources: Sources) -> Segmenter:
    return EntropyPatches(sources.genome, fit_entropy(*_training(sources), spec.number))


def _annotation(spec: SegmenterSpec, sources: Sources) -> Segmenter:
    if sources.sites is None:
        raise ValueError("needs --annotation")
    tables = list(sources.sites.by_class.values())
    sites = pd.concat(tables) if tables else pd.DataFrame({"chrom": [], "cut": []})
    return annotated_cuts(sources.genome, spec.value, sources.sites.transcripts, sites)


_BUILDERS: dict[str, Callable[[SegmenterSpec, Sources], Segmenter]] = {
    "fixed": lambda spec, sources: FixedGrid(sources.genome, spec.number),
    "kmer": lambda spec, sources: KmerTokens(sources.genome, spec.number),
    "random": lambda spec, sources: RandomCuts(sources.genome, sources.seed),
    "bpe": _bpe,
    "entropy": _entropy,
    "annotation": _annotation,
}
