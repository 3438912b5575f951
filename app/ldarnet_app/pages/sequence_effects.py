"""The effect map on the sequence page: every base of a stretch changed to the three others."""

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from ldarnet_app.charts.effects_chart import effects_figure
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.live_model import LiveModel, Strand
from ldarnet_app.mutations import MAX_RANGE_BP, REACH_BP, EffectMap, effect_map
from ldarnet_app.pages.sequence_progress import with_bar
from ldarnet_app.pages.sequence_tables import as_tsv
from ldarnet_app.theme import Theme

_ASKED = "sequence effects asked"


def draw_effects(
    live: LiveModel,
    strand: Strand,
    sequence: str,
    values_of: Callable[[str], np.ndarray],
    theme: Theme,
    *,
    command: str,
) -> None:
    """Ask for a stretch, run its variants while a bar shows how far it is, draw the map; "Stop" ends it early."""
    st.caption(
        f"Up to {MAX_RANGE_BP} bases of the sequence above, after its edits. Two effects of a change: the sum of |Δp| "
        f"over the cuts within {REACH_BP} bases, and Δp of the cut left of the base. Δp is p with the change minus p "
        "without; what happens further away is not counted."
    )
    left, right = st.columns(2)
    num_bp = min(50, len(sequence))
    start = int(left.number_input("First base", 0, len(sequence) - 1, (len(sequence) - num_bp) // 2))
    most = min(MAX_RANGE_BP, len(sequence) - start)
    num_bp = int(right.number_input("Number of bases", 1, most, min(num_bp, most)))
    wanted = ("effects", sequence, strand, start, start + num_bp)
    st.button("Mutate every base", on_click=_ask, args=(wanted,))
    if not live.has(wanted) and st.session_state.get(_ASKED) != wanted:
        return
    values = values_of(sequence)
    effects = _effects(live, strand, sequence, start, start + num_bp, values)
    make = partial(effects_figure, effects, values, title=f"single-base changes, bases {start:,}-{start + num_bp:,}")
    st.plotly_chart(make(theme), theme=None, key="sequence effects")
    st.caption("Open circles mark the bases of the sequence itself.")
    offer_downloads(partial(make, theme), "effects", {".tsv": lambda: as_tsv(effects.table())}, command)


def _effects(live: LiveModel, strand: Strand, sequence: str, start: int, end: int, values: np.ndarray) -> EffectMap:
    wanted = ("effects", sequence, strand, start, end)
    compute = partial(
        effect_map,
        sequence,
        start,
        end,
        values=values,
        window_bp=live.window_bp,
        halo_bp=live.halo_bp,
        predict=lambda windows, report: live.window_values(windows, strand, report),
    )
    if live.has(wanted):
        return live.kept(wanted, lambda: compute(report=lambda done, total: None))
    place = st.empty()
    place.button("Stop", on_click=_stop, icon=":material/stop:")
    effects = with_bar("Reading changed windows", lambda report: live.kept(wanted, lambda: compute(report=report)))
    place.empty()
    return effects


def _ask(wanted: tuple[object, ...]) -> None:
    st.session_state[_ASKED] = wanted


def _stop() -> None:
    st.session_state.pop(_ASKED, None)
