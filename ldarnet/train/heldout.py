"""How well a model guesses letters it never saw, beside tables of neighbouring letters at the very same positions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ldarnet import vocab
from ldarnet.model import LDARNet
from ldarnet.train.baselines import LetterTable, fit_tables
from ldarnet.train.corpus import MAX_UNKNOWN_SHARE, GenomeSource, Stretch, load_genome, splits_of
from ldarnet.train.cut_summary import CutCounts, CutSummary
from ldarnet.train.examples import Objective
from ldarnet.train.masking import mask_letters
from ldarnet.train.sequence_shards_corpus import find_sharded, load_sharded
from ldarnet.train.settings import TrainSettings

Strand = Literal["+", "-"]
DEFAULT_BATCH_TOKENS = 16_384
TABLE_BATCH_TOKENS = 1 << 20
TABLE_BP = 50_000_000
"""Bases of a source in shards that tables are fitted on."""


class Shown(NamedTuple):
    """Windows on one strand, all [num, window_bp]; `inputs` (int64) are the true `ids` (uint8), with letters masked."""

    ids: np.ndarray
    inputs: np.ndarray
    hidden: np.ndarray
    """bool: the letters that are scored. Those shown as [MASK], not those replaced or selected and left as they are; of
    a causal model all but N and the first of a window, each of them hidden until it was guessed."""


@dataclass(frozen=True)
class HeldOut:
    """Windows with letters to guess: `ids` uint8 [num, window_bp], in the order of the stretches they tile.

    Which letters are masked in a window depends on `seed` and its number in the tiling (`draws`) alone. `records`
    names the contig of each window.
    """

    ids: np.ndarray
    draws: np.ndarray
    records: np.ndarray
    seed: int
    num_unknown: int
    """Windows left out for too many N."""
    left_over_bp: int
    """Bases left out at the ends of stretches, where no whole window fits."""
    objective: Objective = "masked"

    @classmethod
    def tile(
        cls,
        stretches: Iterable[Stretch],
        window_bp: int,
        *,
        seed: int = 0,
        max_unknown_share: float = MAX_UNKNOWN_SHARE,
        objective: Objective = "masked",
    ) -> Self:
        """Windows end to end from the start of every stretch. Raises ValueError where none is left."""
        tiles, records, left_over_bp, longest_bp = [np.empty((0, window_bp), np.uint8)], [], 0, 0
        for stretch in stretches:
            num_tiles, rest_bp = divmod(len(stretch.ids), window_bp)
            tiles.append(stretch.ids[: num_tiles * window_bp].reshape(num_tiles, window_bp))
            records += [stretch.contig] * num_tiles
            left_over_bp += rest_bp
            longest_bp = max(longest_bp, len(stretch.ids))
        ids = np.concatenate(tiles)
        kept = np.flatnonzero((ids >= vocab.N).mean(axis=1) <= max_unknown_share)
        if not len(kept):
            raise ValueError(
                f"held-out windows: expected at least one of {window_bp} bases with at most {max_unknown_share:.0%} N, "
                f"got none ({len(tiles) - 1} stretches, longest {longest_bp} bases; {len(ids)} windows have more N)"
            )
        num_unknown = len(ids) - len(kept)
        return cls(ids[kept], kept, np.array(records)[kept], seed, num_unknown, left_over_bp, objective)

    def select(self, rows: np.ndarray | slice) -> Self:
        """Some of the windows; the letters masked in each stay the same."""
        return replace(self, ids=self.ids[rows], draws=self.draws[rows], records=self.records[rows])

    def spread(self, num: int) -> Self:
        """`num` windows evenly apart, or all where there are no more."""
        return self.select((2 * np.arange(num) + 1) * len(self.ids) // (2 * num)) if num < len(self.ids) else self

    def batches(self, batch_tokens: int) -> Iterator[Self]:
        """The windows in order, at least one and at most `batch_tokens` bases at a time."""
        step = max(1, batch_tokens // self.ids.shape[1])
        return (self.select(slice(first, first + step)) for first in range(0, len(self.ids), step))

    def shown(self, strand: Strand) -> Shown:
        """What a model is shown; on "-" the reverse complement, with the same letters masked."""
        if self.objective == "causal":
            ids = self.ids if strand == "+" else vocab.reverse_complement(self.ids)
            is_scored = ids <= vocab.T
            is_scored[:, 0] = False
            return Shown(ids, ids.astype(np.int64), is_scored)
        masked = mask_letters(self.ids, self.draws, self.seed)
        if strand == "+":
            return Shown(self.ids, masked.inputs, masked.hidden)
        inputs = vocab.reverse_complement(masked.inputs).astype(np.int64)
        return Shown(vocab.reverse_complement(self.ids), inputs, masked.hidden[:, ::-1].copy())


class Scores(NamedTuple):
    """Sums over the hidden letters of each window."""

    loss: np.ndarray
    """float64 [num]: nats."""
    num_correct: np.ndarray
    """float64 [num]: how often the likeliest letter is the true one; among n equally likely ones it counts 1 / n."""


@dataclass(frozen=True)
class Evaluation:
    """A model and tables at the same hidden letters, `num_hidden` (int64 [num]) of them in each window.

    `cuts` are those the model makes meanwhile: while letters are masked, as in training.
    """

    num_hidden: np.ndarray
    model: Scores
    tables: dict[str, Scores]
    cuts: CutSummary

    def mean_loss(self, scores: Scores) -> float:
        """Nats per hidden letter."""
        return float(scores.loss.sum() / self.num_hidden.sum())

    def masked_accuracy(self, scores: Scores) -> float:
        """Share of hidden letters where the likeliest letter is the true one."""
        return float(scores.num_correct.sum() / self.num_hidden.sum())


def evaluate(
    model: nn.Module,
    windows: HeldOut,
    tables: Sequence[LetterTable] = (),
    *,
    batch_tokens: int = DEFAULT_BATCH_TOKENS,
    strand: Strand = "+",
) -> Evaluation:
    """Score a model, whose losses are over its whole vocabulary, and tables, which know A, C, G and T only.

    On "-" all of them read the reverse complement, with the same letters masked. Raises ValueError where none is. The
    objective of the windows must be the model's; tables that look to the right know more than a causal model may.
    """
    device = next(model.parameters()).device
    cuts, scores, num_hidden = CutCounts(), [], []
    for part in windows.batches(batch_tokens):
        shown = part.shown(strand)
        # Not inference mode: a model in training must be able to keep what it computes here.
        with torch.no_grad():
            output = model(torch.from_numpy(shown.inputs).to(device))
            logits = output.logits
            if windows.objective == "causal":
                logits = F.pad(logits[:, :-1], (0, 0, 1, 0))  # a letter is foretold at the one before it
            logits = logits[torch.from_numpy(shown.hidden).to(device)]
            log_prob = F.log_softmax(logits.float(), dim=-1).cpu().numpy()
        cuts.add(output.routing)
        scores.append(_sums(log_prob, shown))
        num_hidden.append(shown.hidden.sum(axis=1))
    if not np.concatenate(num_hidden).any():
        what = "masked letters" if windows.objective == "masked" else "letters A, C, G, T"
        raise ValueError(f"expected {what} to guess, got none in {len(windows.ids)} windows")
    by_table = {table.name: score_table(table, windows, strand=strand) for table in tables}
    return Evaluation(np.concatenate(num_hidden), _joined(scores), by_table, cuts.summary())


def score_table(table: LetterTable, windows: HeldOut, *, strand: Strand = "+") -> Scores:
    """A table at the hidden letters of windows; like a model it sees nothing beyond the window."""
    scores = []
    for part in windows.batches(TABLE_BATCH_TOKENS):
        shown = part.shown(strand)
        # One N after each window stops a table there, so that many windows can be read as one sequence.
        ids = np.pad(shown.ids, ((0, 0), (0, 1)), constant_values=vocab.N).ravel()
        positions = np.flatnonzero(np.pad(shown.hidden, ((0, 0), (0, 1))))
        scores.append(_sums(table.log_prob(ids, positions), shown))
    return _joined(scores)


def summarize_cuts(
    model: LDARNet, windows: HeldOut, *, batch_tokens: int = DEFAULT_BATCH_TOKENS, strand: Strand = "+"
) -> CutSummary:
    """The cuts of a model that sees every letter, as a track does."""
    device = next(model.parameters()).device
    cuts = CutCounts()
    for part in windows.batches(batch_tokens):
        ids = part.ids if strand == "+" else vocab.reverse_complement(part.ids)
        with torch.no_grad():
            cuts.add(model.boundaries(torch.from_numpy(ids).to(device)).routing)
    return cuts.summary()


@dataclass(frozen=True, kw_only=True)
class ValidScore(CutSummary):
    """What a validation says of a model: losses in nats per hidden letter, its own and those of tables; its cuts."""

    loss: float
    accuracy: float
    tables: dict[str, float]

    def as_record(self) -> dict[str, Any]:
        """The fields by name, as they are logged."""
        return asdict(self)


class ValidPanel:
    """A few fixed windows, evenly apart, to watch a training by; tables are asked once."""

    def __init__(
        self,
        stretches: Iterable[Stretch],
        window_bp: int,
        tables: Sequence[LetterTable] = (),
        *,
        num_windows: int = 64,
        seed: int = 0,
        batch_tokens: int = DEFAULT_BATCH_TOKENS,
        objective: Objective = "masked",
    ) -> None:
        self.windows = HeldOut.tile(stretches, window_bp, seed=seed, objective=objective).spread(num_windows)
        self._batch_tokens = batch_tokens
        num_hidden = self.windows.shown("+").hidden.sum()
        self._tables = {t.name: float(score_table(t, self.windows).loss.sum() / num_hidden) for t in tables}

    @classmethod
    def from_settings(cls, settings: TrainSettings) -> Self | None:
        """The panel of a run: windows of its validation split, or None where no genome has one.

        Tables are fitted on the training split of all genomes together: where these are of several species, tables
        of one species' own would do better on it.
        """
        valid = [g for g in settings.valid_genomes() if _has_rows(g)]
        if not valid:
            return None
        train = [g for g in settings.train_genomes() if g.weight != 0 and _has_rows(g)]  # shards may have none beside
        objective = settings.model_config().objective
        sequences = (ids for genome in train for ids in _sequences(genome))
        tables = fit_tables(sequences, objective) if train else ()
        stretches = [stretch for genome in valid for stretch in load_genome(genome).stretches]
        num_windows = settings.num_valid_windows
        return cls(stretches, settings.window_bp, tables, num_windows=num_windows, objective=objective)

    def score(self, model: nn.Module) -> ValidScore:
        """The model on the windows as they stand (forward strand)."""
        result = evaluate(model, self.windows, batch_tokens=self._batch_tokens)
        return ValidScore(
            loss=result.mean_loss(result.model),
            accuracy=result.masked_accuracy(result.model),
            tables=dict(self._tables),
            **asdict(result.cuts),
        )


def _sequences(genome: GenomeSource) -> Iterator[np.ndarray]:
    """What tables are fitted on: all of a FASTA; of shards, which may not fit into memory, the first contigs."""
    if (found := find_sharded(genome.fasta)) is None:
        yield from (stretch.ids for stretch in load_genome(genome).stretches)
        return
    yield from load_sharded(*found, "", None, {}).first_contigs(TABLE_BP)


def _has_rows(genome: GenomeSource) -> bool:
    """Whether something is meant by the genome: all of it, or a split that its intervals have."""
    return genome.intervals is None or genome.split in splits_of(genome.intervals)


def _sums(log_prob: np.ndarray, shown: Shown) -> Scores:
    """Per window, from log-probabilities [hidden, letters] in the order of the windows."""
    truth = shown.ids[shown.hidden]
    window, num_windows = np.nonzero(shown.hidden)[0], len(shown.ids)
    loss = -log_prob[np.arange(len(truth)), truth].astype(np.float64)
    # Tables of both strands give A and T alike to many neighbours: taking the first would favour one strand.
    is_likeliest = log_prob == log_prob.max(axis=1, keepdims=True)
    correct = is_likeliest[np.arange(len(truth)), truth] / is_likeliest.sum(axis=1)
    return Scores(*(np.bincount(window, weights=sums, minlength=num_windows) for sums in (loss, correct)))


def _joined(parts: Sequence[Scores]) -> Scores:
    return Scores(*(np.concatenate(sums) for sums in zip(*parts, strict=True)))
