"""The page that runs the model on a sequence of the reader's own."""

import shlex
from functools import partial

import numpy as np
import streamlit as st

from ldarnet.tracks import round_values
from ldarnet_app.charts.sequence_chart import sequence_figure
from ldarnet_app.charts.sequence_table import base_table, chunk_table
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.inputs import Inputs
from ldarnet_app.live_model import LiveModel, can_run
from ldarnet_app.pages.markdown import literal
from ldarnet_app.pages.sequence_choice import Chosen, Run, choose_run, choose_sequence
from ldarnet_app.pages.sequence_edits import begin_edits, draw_edits, edits_asked
from ldarnet_app.pages.sequence_effects import draw_effects
from ldarnet_app.pages.sequence_progress import with_bar
from ldarnet_app.pages.sequence_state import MAX_ADDRESS_BP, MAX_ADDRESS_EDITS, keep
from ldarnet_app.pages.sequence_tables import DECIMALS, as_fasta, as_tsv
from ldarnet_app.pasted import Pasted
from ldarnet_app.theme import Theme, theme_named

WIDTHS = (200, 500, 1_000, 2_000, 4_000)
NO_TORCH = (
    "Running the model needs PyTorch, which is not installed here; the other pages do without. Install it with "
    "`pip install torch` (on Linux, `--index-url https://download.pytorch.org/whl/cpu` saves several GB) and start "
    "the explorer again."
)


def sequence_page(inputs: Inputs) -> None:
    """Draw the page."""
    st.header("Try a sequence")
    if not can_run():
        st.error(NO_TORCH)
        return
    try:
        run = choose_run(inputs)
        chosen = choose_sequence(inputs)
        if chosen is None:
            st.info(
                "Give a sequence to see where the model cuts it. A value is the probability that a chunk starts at a "
                "base: of the cut left of it, counted from 0. Base 0 and N have no value."
            )
            return
        _draw(run, chosen, _live_model(run.model), theme_named(st.context.theme.type))
    except (ValueError, OSError) as error:
        st.error(literal(str(error)))


@st.cache_resource(max_entries=2, show_spinner="Loading the model")
def _live_model(model: str) -> LiveModel:
    return LiveModel(model)


def _draw(run: Run, chosen: Chosen, live: LiveModel, theme: Theme) -> None:
    pasted = chosen.pasted
    _keep_address(run, chosen)  # before anything that offers a link to this view
    values_of = partial(_values, live, run)
    st.caption(
        literal(f"Model {live.name}, strand {run.strand}, windows of {live.window_bp:,} bases, halo {live.halo_bp:,}.")
    )
    _draw_cuts(run, pasted, values_of(pasted.sequence), theme)
    st.subheader("Edit it")
    edited = draw_edits(pasted.sequence, values_of, theme, window_bp=live.window_bp, command=_command(run, "edited.fa"))
    st.subheader("Mutate every base")
    draw_effects(live, run.strand, edited, values_of, theme, command=_command(run, "sequence.fa"))


def _keep_address(run: Run, chosen: Chosen) -> None:
    begin_edits()
    too_long = keep({**chosen.query, **run.query, "edits": edits_asked()})
    if "seq" in too_long:
        st.caption(f"The address of this page does not hold the sequence: it has more than {MAX_ADDRESS_BP:,} bases.")
    if "edits" in too_long:
        st.caption(f"The address of this page does not hold the edits: more than {MAX_ADDRESS_EDITS:,} letters.")


def _values(live: LiveModel, run: Run, sequence: str) -> np.ndarray:
    """float32 [length], unrounded; a bar shows how far it is."""
    if live.has((sequence, run.strand)):
        return live.values(sequence, run.strand, lambda done, total: None)
    return with_bar("Reading windows", lambda report: live.values(sequence, run.strand, report))


def _draw_cuts(run: Run, pasted: Pasted, values: np.ndarray, theme: Theme) -> None:
    rounded = round_values(values, DECIMALS)
    bases, chunks = base_table(pasted.sequence, rounded), chunk_table(rounded)
    num_values = int(bases["p"].notna().sum())
    left, middle, right = st.columns(3)
    left.metric("Hard cuts (p > 0.5)", f"{int(bases['cut'].sum()):,}")
    middle.metric("Bases with a value", f"{num_values:,}", help="Base 0 and N have none.")
    right.metric("Bases per chunk, mean", f"{(chunks['end'] - chunks['start']).mean():.2f}")
    first, last = _shown(len(pasted.sequence))
    make = partial(sequence_figure, bases, chunks, first, last, title=pasted.name)
    st.plotly_chart(make(theme), theme=None, key="sequence cuts")
    offer_downloads(
        partial(make, theme),
        "sequence",
        {".tsv": partial(as_tsv, bases), ".fa": partial(as_fasta, "sequence", pasted.sequence)},
        _command(run, "sequence.fa"),
    )


def _shown(length_bp: int) -> tuple[int, int]:
    """Which bases are drawn: all of a short sequence."""
    if length_bp <= WIDTHS[0]:
        return 0, length_bp
    left, right = st.columns([1, 3])
    wanted = [width for width in WIDTHS if width < length_bp] + ([length_bp] if length_bp <= WIDTHS[-1] else [])
    width = left.selectbox("Bases shown", wanted, format_func="{:,}".format)
    if width >= length_bp:
        return 0, length_bp
    first = right.slider("From base", 0, length_bp - width, 0, step=max(1, width // 20))
    return first, first + width


def _command(run: Run, fasta: str) -> str:
    return shlex.join(
        ["ldarnet-boundaries", "--fasta", fasta, "--out", "probs.bw", "--model", run.model, "--strand", run.strand]
    )
