"""How a command talks and ends: words on stderr, exit status 1 for bad input, 128 + signal where it was stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal that asks the process to end, taken as Ctrl-C is: everything on the way out is cleaned up."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def say(message: str) -> None:
    """A line for the user; standard output is for results."""
    typer.echo(message, err=True)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Bad input (ValueError, OSError) and being stopped end with a message; other errors keep their traceback.

    The notes of an exception are printed below it.
    """
    with _stop_signals_raise():
        try:
            yield
        except BrokenPipeError:
            raise typer.Exit(1) from None
        except (ValueError, OSError) as error:
            _say_with_notes(f"error: {error}", error)
            raise typer.Exit(1) from None
        except KeyboardInterrupt as stop:
            number = stop.signal_number if isinstance(stop, Stopped) else signal.SIGINT
            _say_with_notes(f"stopped by {signal.Signals(number).name}", stop)
            raise typer.Exit(128 + number) from None


def _say_with_notes(message: str, error: BaseException) -> None:
    for line in (message, *getattr(error, "__notes__", ())):
        say(line)


@contextmanager
def _stop_signals_raise() -> Iterator[None]:
    """Raise `Stopped` for signals that would kill the process at once; ignored ones (nohup) stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in STOP_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _stop(signal_number: int, frame: FrameType | None) -> None:
    signal.signal(signal_number, signal.SIG_IGN)  # a second one must not cut the cleaning up short
    raise Stopped(signal_number)
