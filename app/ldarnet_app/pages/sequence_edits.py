"""Edits on the sequence page: what moves when bases change."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from ldarnet import vocab
from ldarnet.tracks import round_values
from ldarnet_app.charts.sequence_edit_chart import edit_figure, edit_table
from ldarnet_app.charts.sequence_table import base_table
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.edits import EXPECTED, MOTIFS, Alignment, Edit, align, apply_edits, changed_cuts, parse_edits
from ldarnet_app.pages.markdown import literal
from ldarnet_app.pages.sequence_state import asked, begin
from ldarnet_app.pages.sequence_tables import DECIMALS, as_fasta, as_tsv
from ldarnet_app.theme import Theme

AROUND_BP = (25, 60, 150, 500, 1_500)
MAX_COLUMNS = 4_000
OWN = "my own"
_TEXT = "sequence edits"


def begin_edits() -> None:
    """Take the edits of the address, where the visit starts."""
    begin(_TEXT, asked().get("edits", ""))


def edits_asked() -> str:
    """The edits as written; after `begin_edits`."""
    written: str = st.session_state[_TEXT]
    return written.strip()


def draw_edits(
    sequence: str, values_of: Callable[[str], np.ndarray], theme: Theme, *, window_bp: int, command: str
) -> str:
    """Ask for edits and show what they move; returns the sequence after them, as it is where they are wrong."""
    _offer_motifs(sequence)
    text = st.text_area("Edits, one a line, positions counted from 0 before any edit", key=_TEXT, height=80)
    st.caption(literal(f"{EXPECTED} (writes over the bases there)."))
    try:
        edits = parse_edits(text, sequence)
    except ValueError as error:
        st.error(literal(str(error)))
        return sequence
    if not edits:
        return sequence
    edited = apply_edits(sequence, edits)
    before, after = round_values(values_of(sequence), DECIMALS), round_values(values_of(edited), DECIMALS)
    alignment = align(len(sequence), edits)
    table = edit_table(base_table(sequence, before), base_table(edited, after), alignment.before, alignment.after)
    _draw_changes(before, after, alignment, table)
    first, last = _shown_columns(edits, alignment)
    make = partial(edit_figure, table, first, last, title=f"{len(edits)} edit{'s' * (len(edits) > 1)}")
    st.plotly_chart(make(theme), theme=None, key="sequence edited")
    if len(edited) != len(sequence) and max(len(edited), len(sequence)) > window_bp:
        st.caption(
            "Windows are laid from base 0, so bases inserted or deleted also shift the windows right of them: small "
            "differences far away come from that."
        )
    data = {".tsv": partial(as_tsv, table), ".fa": partial(as_fasta, "edited", edited)}
    offer_downloads(partial(make, theme), "edited", data, command)
    return edited


def _offer_motifs(sequence: str) -> None:
    with st.popover("Insert a motif", icon=":material/add:"):
        name = st.selectbox("Motif", [*MOTIFS, OWN], format_func=_described)
        own = st.text_input("Bases (A, C, G, T)", max_chars=200) if name == OWN else ""
        position = st.number_input("At base (its first base lies here)", 0, len(sequence), len(sequence) // 2)
        writes_over = st.radio("How", ["write over the bases there", "insert"], horizontal=True).startswith("write")
        is_minus = st.checkbox("On the - strand (reverse complement)")
        bases = (own or MOTIFS.get(name, "")).strip().upper().replace("U", "T")
        if is_minus and set(bases) <= set("ACGT"):
            bases = vocab.decode(vocab.reverse_complement(vocab.encode(bases)))
        edit = f"{'put' if writes_over else 'ins'}{position}{bases}"
        st.button("Add to the edits", on_click=_add_edit, args=(edit,), disabled=not bases)


def _described(motif: str) -> str:
    return f"{motif}, {MOTIFS[motif]}" if motif in MOTIFS else motif


def _add_edit(edit: str) -> None:
    written = edits_asked()
    st.session_state[_TEXT] = f"{written}\n{edit}" if written else edit


def _draw_changes(before: np.ndarray, after: np.ndarray, alignment: Alignment, table: pd.DataFrame) -> None:
    changes = pd.DataFrame(
        changed_cuts(before, after, alignment), columns=["change", "before", "after", "p before", "p after"]
    )
    num_gained = int(changes["change"].str.startswith("gained").sum())
    left, middle, right = st.columns(3)
    left.metric("Cuts gained", num_gained)
    middle.metric("Cuts lost", len(changes) - num_gained)
    difference = table["difference"]
    if difference.notna().any():
        most = table.loc[difference.abs().idxmax()]
        right.metric(
            "Largest change of p", f"{most['difference']:+.4f}", help=f"at base {int(most['position_before'])}"
        )
    if changes.empty:
        st.caption("No hard cut moves.")
        return
    positions = {"before": "Int64", "after": "Int64"}
    st.dataframe(changes.astype(positions), hide_index=True, height=min(38 + 35 * len(changes), 250))
    st.caption("Positions are those of the base right of the cut, counted from 0 in the sequence before and after.")


def _shown_columns(edits: tuple[Edit, ...], alignment: Alignment) -> tuple[int, int]:
    """Columns of all edits with bases around them; those of the first edits where they lie too far apart."""
    around = st.select_slider("Bases shown around the edits", AROUND_BP, 60)
    num_columns = len(alignment.before)
    differing = _columns(edits, alignment)
    first = max(0, differing[0] - around)
    last = min(num_columns, differing[1] + around)
    if last - first > MAX_COLUMNS:
        last = first + MAX_COLUMNS
        st.caption(f"The edits lie far apart: the first {MAX_COLUMNS:,} columns are drawn, the files hold all.")
    return first, last


def _columns(edits: tuple[Edit, ...], alignment: Alignment) -> tuple[int, int]:
    """First and one past the last; inserted bases stand behind the base before them, whose place they are given."""
    place = np.maximum.accumulate(alignment.before)
    start = edits[0].start
    first = int(np.searchsorted(place, start - 1)) + 1 if start else 0
    return first, int(np.searchsorted(place, edits[-1].end))
