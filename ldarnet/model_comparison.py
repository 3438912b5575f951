"""Models side by side: parameters, storage, multiply-adds per base, and how long their chunks are on real sequence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.ablations import changes_of
from ldarnet.checkpoint import load_model, random_model, resolve
from ldarnet.compute import Work, chunks_of, work_of
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.genome import Interval, open_genome, parse_regions
from ldarnet.model import LDARNet

DEFAULT_LENGTHS = (4096, 32_768, 131_072)
BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Candidate:
    """A model to compare: a preset, with ablations or without, or a checkpoint."""

    name: str
    config: ModelConfig
    tokens_per_chunk: tuple[float, ...] | None
    """What its ablations aim at, one per stage."""
    file_bytes: int | None
    """Size of its checkpoint; None = it has none."""

    @property
    def has_weights(self) -> bool:
        """Whether its cuts are those of a trained model."""
        return self.file_bytes is not None

    def model(self) -> LDARNet:
        """The model, with random weights where there are none."""
        return load_model(self.name) if self.has_weights else random_model(self.config, name=self.name)


def find_candidate(text: str) -> Candidate:
    """The model that a text names: "ldarnet-2m", "ldarnet-2m+fixed-4+t-T-t", a file, a hub id.

    Raises ValueError (CheckpointError) where there is none.
    """
    preset, *ablations = text.split("+")
    if preset in PRESETS and (ablations or not _is_shipped(preset)):
        changes = changes_of(ablations, preset)
        model = {key.removeprefix("model."): value for key, value in changes.items() if key.startswith("model.")}
        targets = changes.get("train.tokens_per_chunk")
        return Candidate(text, replace(PRESETS[preset], **model), tuple(targets) if targets else None, None)
    path, _ = resolve(text)
    return Candidate(text, load_model(text).config, None, path.stat().st_size)


def _is_shipped(preset: str) -> bool:
    try:
        resolve(preset)
    except ValueError:
        return False
    return True


def num_parameters(config: ModelConfig) -> int:
    """Weights of a model of this shape; no memory is taken for them."""
    with torch.device("meta"):
        return LDARNet(config).num_parameters()


class Compression(NamedTuple):
    """How a model cuts sequence, the first token of every window being a cut by construction."""

    tokens_per_chunk: tuple[float, ...]
    """Per stage: its tokens by its chunks."""
    num_bases: int


def realised_compression(
    model: LDARNet, fasta: str, *, regions: str | None = None, max_bases: int = 1_000_000
) -> Compression:
    """Tokens per chunk on windows of the model's training context, side by side and none hidden.

    Windows are taken at equal distances until they have `max_bases`; those with more than a tenth of N are left out.
    Raises ValueError where none is left, and for a model that does not read bases.
    """
    model.config.check_reads_dna()
    device = next(model.parameters()).device
    window = model.config.context_bp
    totals = np.zeros(model.config.num_stages + 1)
    for batch in _batches(_windows(fasta, regions, window, max_bases), max(1, BATCH_TOKENS // window)):
        ids = torch.from_numpy(np.stack(batch)).to(device)
        with torch.inference_mode():
            routing = model.boundaries(ids).routing
        totals += [ids.numel(), *(int(stage.cut.sum()) for stage in routing)]
    return Compression(tuple((totals[:-1] / totals[1:]).tolist()), int(totals[0]))


def _windows(fasta: str, regions: str | None, window_bp: int, max_bases: int) -> Iterator[np.ndarray]:
    with open_genome(fasta) as genome:
        if regions is None:
            whole = tuple(Interval(contig.name, 0, contig.length_bp) for contig in genome.contigs)
        else:
            whole = parse_regions(regions, genome.contigs).intervals
        # The windows lie end to end in every stretch; they are numbered through, and no list of them is made.
        counts = [(each.end - each.start) // window_bp for each in whole]
        firsts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        total = int(firsts[-1])
        num_wanted = max(1, max_bases // window_bp)
        step = max(1, total / num_wanted)
        num_found = 0
        for number in range(min(num_wanted, total)):
            window = int(number * step)
            stretch = int(np.searchsorted(firsts, window, side="right")) - 1
            low = whole[stretch].start + (window - int(firsts[stretch])) * window_bp
            ids = genome.ids(whole[stretch].chrom, low, low + window_bp)
            if np.count_nonzero(ids == vocab.N) <= window_bp / 10:
                num_found += 1
                yield ids
        if not num_found:
            longest = max((each.end - each.start for each in whole), default=0)
            raise ValueError(
                f"{fasta}: expected a window of {window_bp:,} bases with at most a tenth of N, got {total:,} "
                f"windows and none such; the longest stretch has {longest:,} bases"
            )


def _batches(windows: Iterator[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    batch: list[np.ndarray] = []
    for window in windows:
        batch.append(window)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True)
class Comparison:
    """What was found out about one candidate."""

    candidate: Candidate
    num_parameters: int
    tokens_per_chunk: tuple[float, ...]
    compression: Compression | None
    """None = not measured: what `tokens_per_chunk` says is set by the configuration, or assumed."""
    work: dict[int, tuple[Work, ...]]
    """Length in bases -> multiply-adds of a sequence of that length, by part."""

    def per_base(self, num_bases: int) -> float:
        """Multiply-adds per base of sequences of that length."""
        return sum(part.total for part in self.work[num_bases]) / num_bases


def compare_models(
    candidates: Sequence[Candidate],
    *,
    lengths: Sequence[int] = DEFAULT_LENGTHS,
    tokens_per_chunk: Sequence[float] | None = None,
    fasta: str | None = None,
    regions: str | None = None,
    max_bases: int = 1_000_000,
) -> list[Comparison]:
    """Every candidate, its chunks measured on a FASTA where one is given.

    Without one they are those of fixed cuts, else `tokens_per_chunk`, else what the candidate's ablations aim at, else
    4. Compute is that of chunks as measured, or so assumed. Raises ValueError for lengths below 1.
    """
    if min(lengths, default=0) < 1:
        raise ValueError(f"lengths: expected 1 base or more, got {list(lengths)}")
    rows = []
    for candidate in candidates:
        config, measured, aimed_at = candidate.config, None, tokens_per_chunk or candidate.tokens_per_chunk
        if fasta is not None:
            measured = realised_compression(candidate.model(), fasta, regions=regions, max_bases=max_bases)
            aimed_at = measured.tokens_per_chunk
        counts = {length: chunks_of(config, length, aimed_at) for length in lengths}
        longest = max(lengths)
        tokens = (longest, *counts[longest])
        rows.append(
            Comparison(
                candidate,
                num_parameters(config),
                tuple(before / after for before, after in pairwise(tokens)),
                measured,
                {length: work_of(config, length, counts[length]) for length in lengths},
            )
        )
    return rows


def as_lines(rows: Sequence[Comparison]) -> list[str]:
    """Two tables for people: the models, and where the multiply-adds of the first length are."""
    lengths = list(rows[0].work)
    head = ["model", "parameters", "float32 MB", "float16 MB", "file MB", "tokens per chunk"]
    table = [[*head, *(f"multiply-adds/base at {length:,}" for length in lengths)]]
    for row in rows:
        size, file_bytes = row.num_parameters, row.candidate.file_bytes
        table.append(
            [
                row.candidate.name,
                f"{size:,}",
                f"{4 * size / 1e6:.2f}",
                f"{2 * size / 1e6:.2f}",
                "-" if file_bytes is None else f"{file_bytes / 1e6:.2f}",
                ", ".join(f"{each:.2f}" for each in row.tokens_per_chunk) + f" ({_origin(row)})",
                *(f"{row.per_base(length):,.0f}" for length in lengths),
            ]
        )
    deepest_first = sorted((row.work[lengths[0]] for row in rows), key=len, reverse=True)
    parts = list(dict.fromkeys(part.part for work in deepest_first for part in work))
    split = [[f"multiply-adds/base at {lengths[0]:,}", *parts, "linear, attention", "scans", "convolutions, router"]]
    for row in rows:
        by_part = {part.part: part for part in row.work[lengths[0]]}
        kinds = [sum(getattr(part, kind) for part in by_part.values()) for kind in ("products", "scans", "filters")]
        totals = [by_part[part].total if part in by_part else 0.0 for part in parts]
        split.append([row.candidate.name, *(f"{number / lengths[0]:,.0f}" for number in (*totals, *kinds))])
    return [*_aligned(table), "", *_aligned(split)]


def _origin(row: Comparison) -> str:
    if row.compression is not None:
        return f"{row.compression.num_bases:,} bases{'' if _is_known(row.candidate) else ', untrained'}"
    if row.candidate.config.cuts == "fixed":
        return "fixed"
    return "on average" if row.candidate.config.cuts == "random" else "assumed"


def _is_known(candidate: Candidate) -> bool:
    """Whether its cuts need no training, or have had it."""
    return candidate.has_weights or candidate.config.cuts != "learned"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
