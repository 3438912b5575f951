"""A training run from start to end: it goes on from the last checkpoint, is watched, saved and stopped."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from torch import Tensor

from ldarnet.checkpoint import random_model
from ldarnet.model.ssd import use_backend
from ldarnet.own_format import save_model
from ldarnet.train.corpus import GenomeSource, load_corpus, splits_of
from ldarnet.train.curves import draw_curves
from ldarnet.train.draws import CorpusDraws, Draws
from ldarnet.train.heldout import ValidPanel
from ldarnet.train.ranks import Ranks, joined_ranks
from ldarnet.train.run_folder import RunFolder, Saved
from ldarnet.train.settings import TrainSettings, check_resume
from ldarnet.train.shards import HFDraws, ShardDraws
from ldarnet.train.state import average_state, model_state
from ldarnet.train.trainer import Diverged, Trainer
from ldarnet.train.watch import Watch

Say = Callable[[str], None]


class Result(NamedTuple):
    """How a run ended: after all its steps, then with a model, or earlier, at a signal (0 = at none)."""

    step: int
    model_file: Path | None
    signal_number: int = 0


def train(settings: TrainSettings, out: Path, *, say: Say) -> Result:
    """Train, or go on where the run in folder `out` stopped; a finished run only has its model written again.

    The same settings give the same weights, bit for bit on a CPU, however often the process was killed. Raises
    ValueError for bad input and for a folder that holds a run with other settings, OSError, and `Diverged`.
    """
    deadline = time.monotonic() + (settings.max_seconds or math.inf)
    with joined_ranks(settings.device) as ranks, ExitStack() as opened:
        tell = say if ranks.is_first else _silent
        with ranks.together():
            folder = opened.enter_context(RunFolder(out, settings.keep_checkpoints, is_writer=ranks.is_first))
        saved = _last_checkpoint(folder, settings, ranks, tell)
        if saved is not None and saved.step == settings.num_steps:
            tell(f"{out}: the run is finished, all {saved.step:,} steps are done")
            return _finish(folder, settings, ranks, saved.tensors, tell)
        with ranks.together():
            draws = _open_draws(settings, ranks, tell)
            if saved is not None:
                draws.restore(saved.meta["draws"])
            panel = _open_panel(settings, ranks, tell)
        if ranks.num_ranks > 1 and settings.parallel == "fsdp" and ranks.device.type == "cpu":
            # FSDP frees gathered weights by resizing them, which numpy arrays of them, as kernels use, forbid.
            opened.enter_context(use_backend("chunked"))
        trainer = Trainer(settings, ranks, draws, saved)
        opened.callback(trainer.close)
        if saved is not None:
            saved = saved._replace(tensors={})  # they are the trainer's now, and as large as the run
        with ranks.together():
            watch = _open_watch(folder, settings, saved, tell) if ranks.is_first else None
        if watch is not None:
            opened.callback(watch.close)
        return _Run(trainer, folder, panel, watch, tell).go_on(deadline)


class _Run:
    """The steps that are left, and everything that is due between them."""

    def __init__(
        self, trainer: Trainer, folder: RunFolder, panel: ValidPanel | None, watch: Watch | None, say: Say
    ) -> None:
        self.trainer, self.folder, self.panel, self.watch, self.say = trainer, folder, panel, watch, say
        self.settings, self.ranks = trainer.settings, trainer.ranks
        self.kept = f"the checkpoint of step {trainer.num_done:,} is kept" if trainer.num_done else "none was saved yet"

    def go_on(self, deadline: float) -> Result:
        """Train to the end, to the deadline or to a signal."""
        settings, num_steps = self.settings, self.settings.num_steps
        last_save = time.monotonic()
        with _stop_requests() as stop_signal, self._what_is_kept():
            while True:
                self.trainer.step()
                step = self.trainer.num_done
                is_last = step == num_steps
                if is_last or step % settings.log_every == 0:
                    self._log()
                if is_last or step % settings.valid_every == 0:
                    self._validate()
                now = time.monotonic()
                is_save_due = step % settings.save_every == 0 or now - last_save > settings.save_every_seconds
                signal_number, *flags = self.ranks.largest(stop_signal(), now > deadline, is_save_due)
                is_stopped = bool(signal_number or flags[0])
                if is_last or is_stopped or flags[1]:
                    tensors = self._save()
                    last_save = time.monotonic()
                if is_last:
                    break
                if is_stopped:
                    self.say(f"stopped after step {step:,} of {num_steps:,}; the same command goes on from here")
                    return Result(step, None, int(signal_number))
        return _finish(self.folder, settings, self.ranks, tensors, self.say)

    def _log(self) -> None:
        record = self.trainer.take_record()
        with self.ranks.together():
            if self.watch is not None:
                self.watch.show(record)

    def _validate(self) -> None:
        with self.ranks.together():
            score = None if self.panel is None else self.panel.score(self.trainer.model)
            if self.watch is not None and score is not None:
                self.watch.show_valid(self.trainer.num_done, score)

    def _save(self) -> dict[str, Tensor]:
        tensors, meta = self.trainer.state()
        with self.ranks.together():
            if self.watch is not None:
                meta |= {"watch": self.watch.state(), "settings": self.settings.to_json()}
                self.folder.save(self.trainer.num_done, tensors, meta)
        self.kept = f"the checkpoint of step {self.trainer.num_done:,} is kept"
        return tensors

    @contextmanager
    def _what_is_kept(self) -> Iterator[None]:
        try:
            yield
        except Diverged as error:
            error.add_note(f"{self.folder.checkpoints}: {self.kept}")
            raise


def _silent(message: str) -> None:
    pass


def _last_checkpoint(folder: RunFolder, settings: TrainSettings, ranks: Ranks, say: Say) -> Saved | None:
    """Where the run goes on, the same on all ranks. Raises ValueError where its settings were others."""
    with ranks.together():
        saved = folder.latest(say)
        notes = []
        if saved is None:
            _check_unsaved(folder, settings)
        else:
            notes = check_resume(TrainSettings.from_json(saved.meta["settings"]), saved.step, settings)
            say(f"{folder.path}: going on after step {saved.step:,} of {settings.num_steps:,}")
        for note in notes:
            say(note)
    step = 0 if saved is None else saved.step
    largest, negative_smallest = ranks.largest(step, -step)
    if largest != -negative_smallest:
        raise ValueError(
            f"{folder.path}: expected a folder that all ranks share, but rank {ranks.rank} finds a checkpoint of step "
            f"{step:,} and another one that of step {int(largest if largest != step else -negative_smallest):,}"
        )
    return saved


def _check_unsaved(folder: RunFolder, settings: TrainSettings) -> None:
    """Of a folder without a checkpoint: ValueError where it holds a model, or a run begun with other settings."""
    if folder.model_file.exists():
        raise ValueError(
            f"{folder.path}: holds a finished model without a checkpoint to go on from, which would be overwritten; "
            "choose another folder"
        )
    if folder.settings_file.exists():
        text = folder.settings_file.read_text(encoding="utf-8")
        try:
            check_resume(TrainSettings.from_json(text), 0, settings)
        except ValueError as error:
            raise ValueError(f"{folder.settings_file}: {error}") from None


def _open_draws(settings: TrainSettings, ranks: Ranks, say: Say) -> Draws:
    window_bp, seed, place = settings.window_bp, settings.seed, (ranks.rank, ranks.num_ranks)
    if settings.shards:
        say(f"{len(settings.shards):,} shards, read as a stream")
        return ShardDraws(settings.shards, window_bp, seed, *place)
    if settings.dataset:
        say(f"data set {settings.dataset}, read as a stream")
        column, split = settings.dataset_column, settings.dataset_split
        return HFDraws(settings.dataset, window_bp, seed, *place, column=column, split=split)
    marks_repeats = settings.repeat_weight != 1
    corpus = load_corpus(_trained_on(settings, say), settings.window_bp, settings.seed, marks_repeats=marks_repeats)
    for genome in corpus.genomes:
        skipped = f", {genome.num_short_stretches:,} too short" if genome.num_short_stretches else ""
        share = f"{genome.weight:.1%} of draws"
        repeats = f", {genome.num_repeats / genome.num_bases:.1%} repeats" if marks_repeats else ""
        held = f"{genome.num_bases:,} bases in {genome.num_stretches:,} stretches{skipped}{repeats}"
        say(f"{genome.name}: {held}, {share}")
    return CorpusDraws(corpus, ranks.rank, ranks.num_ranks)


def _trained_on(settings: TrainSettings, say: Say) -> list[GenomeSource]:
    """The genomes without those whose intervals name the validation split and not the training split."""
    found = []
    for genome in settings.train_genomes():
        splits = splits_of(genome.intervals) if genome.intervals else ()
        if settings.valid_split in splits and settings.train_split not in splits:
            say(f"{genome.fasta}: for validation only")
        else:
            found.append(genome)
    return found or list(settings.train_genomes())


def _open_panel(settings: TrainSettings, ranks: Ranks, say: Say) -> ValidPanel | None:
    """The windows to watch the training by; a sharded model is only whole where all ranks run it."""
    if not ranks.is_first and settings.parallel != "fsdp":
        return None
    panel = ValidPanel.from_settings(settings)
    if panel is None:
        say(f"no validation: no genome has intervals of the split {settings.valid_split!r}")
    return panel


def _open_watch(folder: RunFolder, settings: TrainSettings, saved: Saved | None, say: Say) -> Watch:
    try:
        if saved is None:
            return Watch(folder, settings, 0, None, say)
        return Watch(folder, settings, saved.step, saved.meta["watch"], say)
    except ImportError as error:
        raise ValueError(str(error)) from None


def _finish(
    folder: RunFolder, settings: TrainSettings, ranks: Ranks, tensors: Mapping[str, Tensor], say: Say
) -> Result:
    """Write the model, the average of its weights where one was kept, and the curves."""
    with ranks.together():
        if ranks.is_first:
            steps = f"{settings.num_steps} steps of {settings.tokens_per_step} bases, seed {settings.seed}"
            notes = {"name": folder.path.name, "training": steps}
            model = random_model(settings.model_config())
            model.load_state_dict(model_state(tensors))
            save_model(model, folder.model_file, notes)
            if settings.ema_decay:
                model.load_state_dict(average_state(tensors))
                average = folder.path / "model-average.safetensors"
                save_model(model, average, notes | {"weights": "moving average"})
            try:
                draw_curves(folder.log_file, folder.curves_file, settings.tokens_per_chunk)
            except (ImportError, ValueError) as error:
                say(f"no curves were drawn: {error}")
            say(f"{folder.model_file}: the model after {settings.num_steps:,} steps; use it:")
            say(f"  ldarnet boundaries --fasta x.fa --out probs.bw --model {folder.model_file}")
    return Result(settings.num_steps, folder.model_file)


@contextmanager
def _stop_requests() -> Iterator[Callable[[], int]]:
    """While in force, signals that end a process ask for a save and a stop after the step at hand; a second insists.

    Gives a function: the signal that came, 0 = none yet. Signals that are ignored (nohup) stay ignored.
    """
    asked = [0]
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        asked[0] = number
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():  # others may not say what signals do
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                before[number] = handler
                signal.signal(number, ask)
    try:
        yield lambda: asked[0]
    finally:
        for known, earlier in before.items():
            signal.signal(known, earlier)
