"""What a person sees of a run: its log read back, a line now and then, an alarm when the router collapses."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from ldarnet.train.settings import TrainSettings

RATE_OVER_LINES = 20
"""Speed and time left are those of the last so many lines: a machine may get busier."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Records of a log of JSON lines; empty where there is no file.

    A last line that was half-written when its run was killed is left out; any other that is not a record with a
    `step` is a ValueError naming file and line.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and type(record.get("step")) is int:
            records.append(record)
        elif number < len(lines):
            got = line[:60].decode(errors="replace").strip()
            raise ValueError(f"{path}, line {number}: expected a JSON object with a whole number 'step', got {got!r}")
    return records


class Progress:
    """Lines about a run from `first_step` on, and its speed in this process."""

    def __init__(
        self,
        settings: TrainSettings,
        first_step: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._say, self._clock = settings, say, clock
        self._seen = deque([(first_step, clock())], maxlen=RATE_OVER_LINES)

    def rate(self, step: int) -> float:
        """Tokens per second up to now, when `step` steps are done; validation and saving count as time."""
        self._seen.append((step, self._clock()))
        return self._settings.tokens_per_step * self._steps_per_second()

    def show(self, record: Mapping[str, Any]) -> None:
        """One line about a training record."""
        step, num_steps = record["step"], self._settings.num_steps
        speed = self._steps_per_second()
        left = str(timedelta(seconds=round((num_steps - step) / speed))) if speed else "?"
        parts = [
            f"step {step:,}/{num_steps:,}",
            f"loss {record['letter_loss']:.4f}",
            f"ratio {_joined(record['ratio_loss'])}",
            f"F {_joined(record['cut_share'])}",
            f"G {_joined(record['mean_prob'])}",
            f"lr {record['learning_rate']:.2e}",
            f"grad {record['grad_norm']:.2f}",
            f"{_short(record['tokens_per_second'])} tokens/s",
            f"{left} left",
        ]
        self._say("  ".join(parts))

    def show_valid(self, step: int, valid: Mapping[str, Any]) -> None:
        """One line about a validation: the loss beside those of the tables, on the same letters."""
        tables = ", ".join(f"{name} {loss:.4f}" for name, loss in valid["tables"].items())
        parts = [
            f"step {step:,} valid loss {valid['loss']:.4f}{f' ({tables})' if tables else ''}",
            f"accuracy {valid['accuracy']:.3f}",
            f"F {_joined(valid['cut_share'])}",
            f"G {_joined(valid['mean_prob'])}",
            f"p near .5 {_joined(valid['near_half_share'])}",
        ]
        self._say("  ".join(parts))

    def _steps_per_second(self) -> float:
        (first_step, start), (last_step, end) = self._seen[0], self._seen[-1]
        return (last_step - first_step) / (end - start) if end > start else 0.0


class RouterAlarm:
    """Notices a router that has all but stopped cutting, or cuts nearly everywhere.

    Its target is a share of 1 in `tokens_per_chunk`, per stage. Off is more than `ODDS` times the odds of the target
    either way (below .016 or above .870 for a target of 1 in 4), in `num_checks` checks in a row.
    """

    ODDS = 20

    def __init__(self, tokens_per_chunk: Sequence[float], num_checks: int = 5) -> None:
        self._targets = [1 / tokens for tokens in tokens_per_chunk]
        self._num_checks = num_checks
        self._num_off = [0] * len(self._targets)

    def check(self, cut_share: Sequence[float]) -> list[str]:
        """Alarms, none as a rule; `cut_share` has the share of tokens that are cut, per stage."""
        alarms = []
        for stage, (share, target) in enumerate(zip(cut_share, self._targets, strict=True)):
            odds_ratio = share * (1 - target) / max((1 - share) * target, 1e-12)
            is_off = not 1 / self.ODDS <= odds_ratio <= self.ODDS
            self._num_off[stage] = self._num_off[stage] + 1 if is_off else 0
            if is_off and self._num_off[stage] % self._num_checks == 0:
                how = "nearly everywhere" if share > target else "hardly at all"
                alarms.append(
                    f"ALARM: the router of stage {stage} cuts {how}: {share:.2%} of tokens, expected about "
                    f"{target:.0%} ({self._num_off[stage]} checks in a row); a lower learning_rate or a larger "
                    "ratio_weight usually helps"
                )
        return alarms

    def state(self) -> dict[str, Any]:
        """What `restore` needs, JSON-able."""
        return {"num_off": list(self._num_off)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting where the saved alarm was."""
        self._num_off = list(state["num_off"])


class _ScalarWriter(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """The numbers of the log as TensorBoard scalars in `folder`; to be closed."""

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError("train.tensorboard needs the tensorboard package: pip install 'ldarnet[train]'") from None
        # What a killed run wrote beyond the checkpoint it is resumed from is hidden by purge_step.
        self._writer: _ScalarWriter = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, record: Mapping[str, Any]) -> None:
        """A record of the log."""
        for name, value in scalars(record):
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Bring everything to the disk."""
        self._writer.close()


def scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names such as "valid/tables/flank5" and "cut_share/0" (stage 0), and their numbers; histograms are left out."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}/{name}", number) for name, number in scalars(value))
        elif isinstance(value, Sequence) and key != "chunk_lengths":
            yield from ((f"{key}/{stage}", number) for stage, number in enumerate(value))
        elif isinstance(value, int | float) and key != "step":
            yield key, value


def _joined(values: Sequence[float]) -> str:
    return "/".join(f"{value:.3f}" for value in values)


def _short(number: float) -> str:
    """Three digits: 412k, 1.23M."""
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e3:.3g}k" if number >= 1e3 else f"{number:.0f}"
