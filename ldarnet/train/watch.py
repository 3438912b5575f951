"""What is told of a run while it goes on: log, lines on the terminal, alarms, TensorBoard."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ldarnet.train.heldout import ValidScore
from ldarnet.train.progress import Progress, RouterAlarm, TensorBoard
from ldarnet.train.run_folder import RunFolder
from ldarnet.train.settings import TrainSettings


class Watch:
    """The first rank's account of a run that goes on after `step` steps; to be closed.

    What was logged after that step is dropped. `state` is what an earlier `Watch` left in the checkpoint.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainSettings,
        step: int,
        state: Mapping[str, Any] | None,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._say = folder, say
        self._progress = Progress(settings, step, say)
        # Fixed cuts come as they are told to.
        self._alarm = RouterAlarm(settings.tokens_per_chunk) if settings.model_config().cuts == "learned" else None
        self._started = time.monotonic()
        if state is not None:
            self._started -= state["seconds"]
            if self._alarm is not None:
                self._alarm.restore(state["alarm"])
        folder.write_settings(settings.to_json())
        folder.rewind_log(step)
        self._board = TensorBoard(folder.path / "tensorboard", step + 1) if settings.tensorboard else None

    def show(self, record: Mapping[str, Any]) -> None:
        """Log a record of the trainer, with seconds (of all processes of the run) and tokens per second."""
        timed = {**record, "seconds": self._seconds(), "tokens_per_second": self._progress.rate(record["step"])}
        self._log(timed)
        self._progress.show(timed)
        for line in self._alarm.check(record["cut_share"]) if self._alarm is not None else ():
            self._say(line)

    def show_valid(self, step: int, score: ValidScore) -> None:
        """Log a validation."""
        self._log({"step": step, "valid": score.as_record()})
        self._progress.show_valid(step, score.as_record())

    def state(self) -> dict[str, Any]:
        """What a later `Watch` goes on from, JSON-able."""
        return {"seconds": self._seconds(), "alarm": self._alarm.state() if self._alarm is not None else None}

    def close(self) -> None:
        """Bring what TensorBoard holds to the disk."""
        if self._board is not None:
            self._board.close()

    def _log(self, record: Mapping[str, Any]) -> None:
        self._folder.log(record)
        if self._board is not None:
            self._board.add(record)

    def _seconds(self) -> float:
        return time.monotonic() - self._started
