"""Work in the order it came, in a thread of its own: writing goes on while the next windows are computed."""

import queue
import threading
from collections.abc import Callable
from typing import Any

MOST_WAITING = 256
"""So many calls may wait before the caller has to: memory stays bounded where writing is slower."""


class Background:
    """Runs calls one after the other in one thread; an error of one is raised at the next `call`, or by `finish`."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._calls: queue.Queue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.Queue(most_waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="ldarnet-background", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401
        """Have a function called later. After an error nothing more is called."""
        self._raise()
        self._calls.put((function, args))

    def finish(self) -> None:
        """Wait for every call; harmless when called twice. Raises the error of a call."""
        self.stop()
        self._raise()

    def stop(self) -> None:
        """Wait for every call; errors are not raised."""
        if self._thread.is_alive():
            self._calls.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._error is None:  # else calls are taken and dropped, so that nobody waits for room
                try:
                    call[0](*call[1])
                except BaseException as error:
                    self._error = error
