"""Figures as SVG, PNG and PDF bytes, drawn by a Chromium of this machine that stays warm between two of them."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import plotly.graph_objects as go

R = TypeVar("R")

MIME_TYPES = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
WIDTH_PX, HEIGHT_PX = 1000, 500
PNG_SCALE = 3
IDLE_S = 30.0
TIMEOUT_S = 90.0
NO_BROWSER = (
    "SVG, PNG and PDF are drawn by Chromium or Chrome, which is not found on this machine: "
    "install it (Debian, Ubuntu: apt-get install chromium), or name it in the environment variable BROWSER_PATH"
)


def browser_path() -> str | None:
    """The browser that draws, None where there is none."""
    from choreographer.browsers.chromium import Chromium

    return Chromium.find_browser(skip_local=False)


def render(figure: go.Figure, image_format: str) -> bytes:
    """The figure as svg, png or pdf: in its own size, else 1000 x 500 pixels; PNG three times as fine.

    Takes 3 to 4 s where the browser has to start, a third of a second where it still runs. Raises ValueError for
    another format, and OSError where there is no browser or it fails.
    """
    if image_format not in MIME_TYPES:
        raise ValueError(f"expected a figure as one of {', '.join(MIME_TYPES)}, got {image_format!r}")
    if browser_path() is None:
        raise OSError(NO_BROWSER)
    options = {
        "format": image_format,
        "width": figure.layout.width or WIDTH_PX,
        "height": figure.layout.height or HEIGHT_PX,
        "scale": PNG_SCALE if image_format == "png" else 1,
    }
    return _browser().render(figure.to_dict(), options)


def write_figure(figure: go.Figure, path: Path) -> None:
    """Draw the figure in the format of the path's suffix, and write it whole or not at all. Raises as `render`."""
    image = render(figure, path.suffix.lower().removeprefix("."))
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(image)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@cache
def _browser() -> "_WarmBrowser":
    return _WarmBrowser()


class _WarmBrowser:
    """One browser for all threads; it starts with the first figure and ends after `IDLE_S` without one.

    Kaleido's own server is not used: it mixes up the answers of threads, and waits for ever where it cannot start.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = asyncio.Lock()
        self._kaleido: Any = None
        self._end: asyncio.TimerHandle | None = None
        threading.Thread(target=self._loop.run_forever, name="figures", daemon=True).start()
        atexit.register(lambda: self._run(self._close()))

    def render(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        try:
            return self._run(self._render(figure, options))
        except Exception as error:
            raise OSError(f"the browser {browser_path()} could not draw the figure: {error or repr(error)}") from error

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)

    async def _render(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        async with self._lock:
            if self._end is not None:
                self._end.cancel()
            was_warm = self._kaleido is not None
            try:
                return await self._draw(figure, options)
            except Exception:
                await self._stop()
                if not was_warm:
                    raise
                return await self._draw(figure, options)  # it may have died while it waited
            finally:
                self._end = self._loop.call_later(IDLE_S, lambda: self._loop.create_task(self._close()))

    async def _draw(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        from kaleido import Kaleido

        if self._kaleido is None:
            # mathjax would be fetched from the network
            self._kaleido = await Kaleido(n=1, timeout=TIMEOUT_S / 2, mathjax=False).__aenter__()
        drawn: bytes = await self._kaleido.calc_fig(figure, opts=options)
        return drawn

    async def _close(self) -> None:
        async with self._lock:
            await self._stop()

    async def _stop(self) -> None:
        kaleido, self._kaleido = self._kaleido, None
        if kaleido is not None:
            await kaleido.__aexit__(None, None, None)
