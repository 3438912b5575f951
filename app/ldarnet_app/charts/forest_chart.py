"""The null ladder of a class: effect and interval against every rung, or why there is none."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from ldarnet_analysis.style import LOOKS, RUNGS, SIGNALS, wrapped
from ldarnet_analysis.verdicts import Test, chance_number, rows_of
from ldarnet_app.charts.aggregate_style import SMALL_PX, colour_of, dress, minus, plain, symbol_of
from ldarnet_app.theme import Theme

_ROW_PX = 44
_NOTE_CHARS = 34
_LOCI_PX, _CHANCE_PX = 44, 118
_HEADINGS = ((_LOCI_PX, "loci"), (_CHANCE_PX, "q or (p)"))
_NOTE_LINES = 2
_SHIFT = 0.2
_NUM_DIGITS = 4


def forest_chart(
    tests: pd.DataFrame, theme: Theme, *, signal: str, title: str, explored: pd.DataFrame | None = None
) -> go.Figure:
    """The tests of one class on one signal, the easiest rung on top; untested rungs say why, in full when hovered.

    `explored` are effects of a chosen part of the sites (columns of the tests): open marks under the filled ones.
    Raises ValueError without a test on that signal.
    """
    ladder = _ladder(tests, signal)
    if ladder.empty:
        raise ValueError(f"expected tests on signal {signal}, got none")
    rungs = list(dict.fromkeys(ladder["rung"]))
    figure = go.Figure()
    parts = [(ladder, False)] if explored is None else [(ladder, False), (_ladder(explored, signal), True)]
    notes = [_text(name, px, 1.0, theme) | {"yref": "paper", "yshift": 9} for px, name in _HEADINGS]
    for part, is_open in parts:
        shift = 0.0 if explored is None else (_SHIFT if is_open else -_SHIFT)
        notes += _draw(figure, rows_of(part), rungs, theme, shift=shift, is_open=is_open)
    row_px, top_px = (_ROW_PX, 70) if explored is None else (_ROW_PX + 14, 104)
    dress(figure, theme, height_px=row_px * len(rungs) + top_px + 56, title=title)
    figure.update_layout(
        margin={"l": 132, "r": 124, "t": top_px, "b": 56},
        hovermode="closest",
        showlegend=explored is not None,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}}
        | {"xref": "container"},
    )
    has_marks = any(_has_mark(test) for test in rows_of(ladder))
    figure.update_xaxes(title={"text": SIGNALS[signal].difference, "standoff": 8}, nticks=5, showticklabels=has_marks)
    figure.update_yaxes(
        tickvals=list(range(len(rungs))),
        ticktext=[LOOKS[rung].label for rung in rungs],
        range=[len(rungs) - 0.4, -0.6],
        showgrid=False,
    )
    figure.add_vline(0, line={"color": theme.ink, "width": 1, "dash": "dot"}, opacity=0.7)
    figure.update_layout(annotations=notes)
    return figure


def _ladder(tests: pd.DataFrame, signal: str) -> pd.DataFrame:
    shown = tests[(tests["signal"] == signal) & tests["rung"].isin(RUNGS)]
    return shown.sort_values("rung", key=lambda rungs: rungs.map(RUNGS.index), kind="stable")


def _draw(
    figure: go.Figure, tests: Sequence[Test], rungs: list[str], theme: Theme, *, shift: float, is_open: bool
) -> list[dict[str, object]]:
    """Draw the marks; what is to be written beside them comes back."""
    name = "chosen sites (exploratory)" if is_open else "all sites (the analysis)"
    # The marks of the legend are in ink: those of the rungs have a colour each.
    symbol = {"symbol": "circle-open" if is_open else "circle", "color": theme.ink, "size": 9}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=symbol, name=name)
    for test in filter(_has_mark, tests):
        colour = colour_of(test.rung, theme)
        figure.add_scatter(
            x=[test.effect],
            y=[rungs.index(test.rung) + shift],
            mode="markers",
            marker={
                "symbol": symbol_of(test.rung) + ("-open" if is_open else ""),
                "color": colour,
                "size": 10,
                "line": {"width": 2 if is_open else 0, "color": colour},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [test.hi - test.effect],
                "arrayminus": [test.effect - test.lo],
                "color": colour,
                "thickness": 1.6,
                "width": 4,
            },
            hovertemplate=_hover(test, name),
            showlegend=False,
        )
    notes = []
    for test in tests:
        height = rungs.index(test.rung) + shift
        notes.append(_text(_count(test.n_loci), _LOCI_PX, height, theme))
        if not is_open:
            notes.append(_text(_chance(test), _CHANCE_PX, height, theme))
        if test.status != "ok":
            notes.append(_why(test, height, theme, num_lines=1 if shift else _NOTE_LINES))
    return notes


def _has_mark(test: Test) -> bool:
    return not any(pd.isna(value) for value in (test.effect, test.lo, test.hi))


def _why(test: Test, height: float, theme: Theme, *, num_lines: int) -> dict[str, object]:
    """Why a rung has no interval: one line where two tests share a row."""
    reason = f"{test.status}: {test.reason}" if test.reason else test.status
    text = plain(wrapped(reason, _NOTE_CHARS, num_lines)).replace("\n", "<br>")
    place = {"x": 0.01, "xref": "paper", "y": height, "xanchor": "left", "align": "left", "showarrow": False}
    look = {"font": {"size": 10, "color": theme.ink}, "bgcolor": theme.paper, "opacity": 0.8}
    return {"text": text, "hovertext": plain(reason)} | place | look


def _text(text: str, shift_px: float, y: float, theme: Theme) -> dict[str, object]:
    """A text so far right of the plot, its end there."""
    place = {"x": 1, "xref": "paper", "xshift": shift_px, "y": y, "xanchor": "right", "showarrow": False}
    return {"text": text, "font": {"size": SMALL_PX, "color": theme.ink}} | place


def _count(number: float) -> str:
    return "" if pd.isna(number) else f"{int(number):,}"


def _chance(test: Test) -> str:
    if test.status != "ok":
        return ""
    return f"({chance_number(test.p)})" if pd.isna(test.q) else chance_number(test.q)


def _hover(test: Test, name: str) -> str:
    numbers = f"{test.effect:+.{_NUM_DIGITS}f} ({test.lo:+.{_NUM_DIGITS}f} to {test.hi:+.{_NUM_DIGITS}f})"
    return f"<b>{LOOKS[test.rung].label}</b><br>{minus(numbers)}<br>{_count(test.n_loci)} loci<br>{name}<extra></extra>"
