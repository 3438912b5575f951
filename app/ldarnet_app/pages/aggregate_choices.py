"""The widgets that choose what the aggregate page shows, and the address that follows them."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import LOOKS, SIGNALS, SITES
from ldarnet_app.aggregate_choice import KEYS, Choice, choice_from_query, profiled_rungs, usual_rungs
from ldarnet_app.aggregate_subset import MAX_GENES_BYTES, Subset, parse_genes
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.results import classes_of, stored_rungs

_LAST = "aggregate address"
_STRAND_NAMES = {None: "both", "+": "+", "-": "−"}
_MAX_LISTED = 10
_UPLOAD_MB = 1


def choose(results: Results) -> Choice:
    """Draw the widgets and say what they choose; they start from the address, which then follows them."""
    _follow_address(results)
    left, middle, right = st.columns([2, 3, 5])
    site_class = left.selectbox("Site class", classes_of(results), key="aggregate class")
    signal = middle.segmented_control(
        "Signal", list(SIGNALS), format_func=lambda name: SIGNALS[name].name, key="aggregate signal", required=True
    )
    assert signal is not None, "a signal is required"
    there = profiled_rungs(results, site_class, signal)
    key = f"aggregate rungs {site_class}"
    kept = [rung for rung in st.session_state.get(key, usual_rungs(there)) if rung in there]
    st.session_state[key] = kept
    rungs = right.multiselect("Control rungs drawn", there, format_func=lambda rung: LOOKS[rung].label, key=key)
    subset = _choose_subset(results.of_class("sites", site_class), site_class)
    # The widget of the rows stands farther down, at the heatmap; what it chose is known already.
    rows = st.session_state.get(_rows_key(site_class), SITES)
    if rows not in stored_rungs(results, site_class, signal):
        rows = SITES
    choice = Choice(site_class, signal, tuple(rung for rung in there if rung in rungs), rows, subset)
    _write_address(choice)
    return choice


def draw_rows_choice(results: Results, choice: Choice) -> None:
    """Draw the widget for the rows of the heatmap: the sites, or the controls of a rung."""
    key, there = _rows_key(choice.site_class), stored_rungs(results, choice.site_class, choice.signal)
    if there:
        st.session_state[key] = choice.rows if choice.rows in there else there[0]
        st.selectbox("Rows of the heatmap", there, format_func=_rows_name, key=key)


def _write_address(choice: Choice) -> None:
    """Make the page's address bring this choice back; what else stands in it stays."""
    query = choice.to_query()
    for key in KEYS:
        if key not in query and key in st.query_params:
            del st.query_params[key]
    if any(st.query_params.get(key) != value for key, value in query.items()):
        st.query_params.update(query)
    st.session_state[_LAST] = query


def _follow_address(results: Results) -> None:
    """Set the widgets by an address that they did not write; without one, to what they last showed."""
    address = {key: value for key, value in st.query_params.to_dict().items() if key in KEYS}
    last = st.session_state.get(_LAST)
    is_drawn = "aggregate class" in st.session_state
    if is_drawn and (address == last or not address):
        return
    try:
        choice = choice_from_query(address or last or {}, results)
    except ValueError as error:
        st.warning(literal(f"This address does not fit these results. {error}. Shown instead: the first class."))
        choice = choice_from_query({}, results)
    site_class, subset = choice.site_class, choice.subset
    low, high = subset.score or (None, None)
    values: dict[str, object] = {
        "class": site_class,
        "signal": choice.signal,
        f"rungs {site_class}": list(choice.rungs),
    }
    values |= {f"strand {site_class}": subset.strand, f"chroms {site_class}": sorted(subset.chroms or ())}
    values |= {f"lowest {site_class}": low, f"highest {site_class}": high, f"rows {site_class}": choice.rows}
    st.session_state.update({f"aggregate {name}": value for name, value in values.items()})


def _choose_subset(sites: pd.DataFrame, site_class: str) -> Subset:
    with st.expander("A part of the sites (exploratory)", icon=":material/filter_alt:", key="aggregate subset"):
        st.caption(
            "Means, intervals and effects are computed again from the stored profiles of the sites chosen. They are "
            "exploratory: not the pre-registered test, and without p or q, which mean nothing for a part chosen after "
            "looking. Balance of the controls is not checked again within the part. No interval under 20 loci."
        )
        left, right = st.columns(2)
        strand = left.segmented_control(
            "Strand",
            list(_STRAND_NAMES),
            format_func=_STRAND_NAMES.__getitem__,
            key=f"aggregate strand {site_class}",
        )
        chroms = left.multiselect("Contigs", _in_order(sites["chrom"]), key=f"aggregate chroms {site_class}")
        score = _choose_score(left, sites["score"], site_class)
        genes = _choose_genes(right, sites["gene"], site_class)
        return Subset(strand, score, frozenset(chroms) or None, genes)


def _choose_score(
    place: DeltaGenerator, scores: pd.Series, site_class: str
) -> tuple[float | None, float | None] | None:
    known = scores.dropna()
    if known.empty:
        place.caption(f"No site of {literal(site_class)} has a score.")
        return None
    low, high = place.columns(2)
    keys = (f"aggregate lowest {site_class}", f"aggregate highest {site_class}")
    bounds = (
        low.number_input("Lowest score", value=None, placeholder=f"{known.min():g}", key=keys[0]),
        high.number_input("Highest score", value=None, placeholder=f"{known.max():g}", key=keys[1]),
    )
    return None if bounds == (None, None) else bounds


def _choose_genes(place: DeltaGenerator, genes: pd.Series, site_class: str) -> frozenset[str] | None:
    pasted = place.text_area(
        "Genes, one a line or with commas",
        max_chars=MAX_GENES_BYTES,
        key=f"aggregate genes {site_class}",
        height=110,
        help="Upper and lower case are the same. A list of genes is not part of the address.",
    )
    upload = place.file_uploader(
        "or a text file of genes",
        type=["txt", "tsv", "csv"],
        max_upload_size=_UPLOAD_MB,
        key=f"aggregate gene file {site_class}",
    )
    lists = [each for each in (pasted.strip(), upload.getvalue() if upload is not None else None) if each is not None]
    try:
        wanted = frozenset[str]().union(*(parse_genes(each) for each in lists if each or isinstance(each, bytes)))
    except ValueError as error:
        place.error(literal(f"{error}. All genes are shown."))
        return None
    if not wanted:
        return None
    there = set(genes.str.casefold())
    missing = sorted(wanted - there)
    named = f"; not found: {', '.join(missing[:_MAX_LISTED])}{', …' if len(missing) > _MAX_LISTED else ''}"
    found = f"{len(wanted) - len(missing):,} of {len(wanted):,} names are genes of sites of {site_class}"
    place.caption(literal(found + (named if missing else "")))
    return wanted


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names))


def _rows_key(site_class: str) -> str:
    return f"aggregate rows {site_class}"


def _rows_name(rung: str) -> str:
    return "sites" if rung == SITES else f"controls: {LOOKS[rung].label}"
