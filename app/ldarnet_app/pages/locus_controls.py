"""What moves the locus page: search, buttons with keys, tracks and their ranges."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import ceil, floor

import streamlit as st

from ldarnet.genome import Contig
from ldarnet_app.inputs import TrackFile
from ldarnet_app.locus_search import NotFound, Places, at_site, found
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.sites import Site, SiteIndex
from ldarnet_app.view import ValueRange, View, centered, fitted, moved, zoomed

BOX_KEY, MESSAGE_KEY, SITE_KEY, CLASS_KEY = "locus box", "locus message", "locus site", "locus class"
MAX_NAMES = 25_000
ANY_CLASS = "any class"
SPANS = {"100 bp": 100, "4 kb": 4_000, "100 kb": 100_000, "1 Mb": 1_000_000}


def go(view: View) -> None:
    """Make this the page's address; the next run draws it."""
    st.query_params.from_dict(view.to_query())


def draw_controls(view: View, places: Places, tracks: Sequence[TrackFile]) -> None:
    """The rows above the chart."""
    contigs, _, sites = places
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _draw_box(view, places)
        if sites is not None:
            _draw_site_buttons(view, contigs, sites)
        with st.popover("Tracks", icon=":material/layers:"):
            _draw_tracks(view, tracks)
    _draw_message(view, places)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _draw_movers(view, contigs)
        _draw_spans(view, contigs)
        flip_help = "Read the other strand: right to left, complemented. Cut c of L bases is cut L - c there."
        st.button(
            "Flip",
            icon=":material/swap_horiz:",
            shortcut="F",
            type="primary" if view.flipped else "secondary",
            help=flip_help,
            on_click=go,
            args=(replace(view, flipped=not view.flipped),),
        )


def zoom_to_selection(key: str, view: View, contigs: Sequence[Contig]) -> None:
    """Go to the range that was dragged over on the chart."""
    boxes = st.session_state[key]["selection"]["box"]
    if boxes:
        left, right = sorted(boxes[-1]["x"])
        go(fitted(replace(view, start=floor(left), end=ceil(right)), contigs))


def _draw_box(view: View, places: Places) -> None:
    contigs, genes, sites = places
    names = genes.names[:MAX_NAMES] if genes else []
    names = [*names, *(sites.ids(MAX_NAMES - len(names)) if sites else [])]
    what = [*(["gene"] if genes else []), f"{contigs[0].name}:start-end", *(["site"] if sites else [])]
    # the box always says where the page is: what was typed has been acted on, or refused with a message
    st.session_state[BOX_KEY] = view.locus
    st.selectbox(
        literal(f"Go to {', '.join(what[:-1])} or {what[-1]}" if len(what) > 1 else f"Go to {what[0]}"),
        [view.locus, *names],
        key=BOX_KEY,
        accept_new_options=True,
        filter_mode="prefix",
        on_change=_search,
        args=(view, places),
        help="0-based, half-open: 0-10 is the first ten bases. A single base gets its surroundings.",
    )


def _search(view: View, places: Places) -> None:
    text = st.session_state[BOX_KEY]
    if text:
        _go_to(text, view, places)


def _go_to(text: str, view: View, places: Places) -> None:
    try:
        place = found(text, view, places)
    except ValueError as error:
        suggestions = error.suggestions if isinstance(error, NotFound) else ()
        st.session_state[MESSAGE_KEY] = (str(error), suggestions)
        return
    if place.note:
        st.session_state[MESSAGE_KEY] = (place.note, ())
    go(place.view)


def _draw_message(view: View, places: Places) -> None:
    """What the last search had to say, once."""
    message, suggestions = st.session_state.pop(MESSAGE_KEY, ("", ()))
    if message:
        st.warning(literal(message))
    if suggestions:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Did you mean", width="content")
            for name in suggestions:
                st.button(literal(name), key=f"suggestion {name}", on_click=_go_to, args=(name, view, places))


def _draw_site_buttons(view: View, contigs: Sequence[Contig], sites: SiteIndex) -> None:
    chosen = st.selectbox("Sites", [ANY_CLASS, *sites.classes], key=CLASS_KEY, width=130)
    site_class = None if chosen == ANY_CLASS else chosen
    cut = (view.start + view.end) // 2
    last = st.session_state.get(SITE_KEY)
    if last is not None and last[0] == view.locus:
        cut = last[1]  # near the edge of a contig a site is not in the middle
    for label, icon, key, to_right in (
        ("Previous", ":material/skip_previous:", "P", False),
        ("Next", ":material/skip_next:", "N", True),
    ):
        site = sites.beside(view.chrom, cut, forward=to_right != view.flipped, site_class=site_class)
        st.button(
            label,
            icon=icon,
            shortcut=key,
            disabled=site is None,
            help=literal(
                f"{site.site_id} {site.gene}" if site else f"no more of {chosen} on {view.chrom} on this side"
            ),
            on_click=_go_to_site,
            args=(view, site, contigs),
        )


def _go_to_site(view: View, site: Site, contigs: Sequence[Contig]) -> None:
    there = at_site(view, site, contigs)
    st.session_state[SITE_KEY] = (there.locus, site.cut)
    go(there)


def _draw_movers(view: View, contigs: Sequence[Contig]) -> None:
    for label, icon, key, target in (
        ("Far left", ":material/keyboard_double_arrow_left:", "Shift+Left", moved(view, -1, contigs)),
        ("Left", ":material/chevron_left:", "Left", moved(view, -0.25, contigs)),
        ("Right", ":material/chevron_right:", "Right", moved(view, 0.25, contigs)),
        ("Far right", ":material/keyboard_double_arrow_right:", "Shift+Right", moved(view, 1, contigs)),
        ("In", ":material/zoom_in:", "I", zoomed(view, 0.5, contigs)),
        ("Out", ":material/zoom_out:", "O", zoomed(view, 2, contigs)),
    ):
        st.button(label, icon=icon, shortcut=key, disabled=target == view, on_click=go, args=(target,))


def _draw_spans(view: View, contigs: Sequence[Contig]) -> None:
    """Jumps to a scale about the same middle."""
    middle = (view.start + view.end) // 2
    for label, span_bp in SPANS.items():
        target = centered(replace(view, start=0, end=span_bp), middle, contigs)
        st.button(label, key=f"span {label}", type="tertiary", disabled=target == view, on_click=go, args=(target,))


def _draw_tracks(view: View, tracks: Sequence[TrackFile]) -> None:
    labels = [track.label for track in tracks]
    st.session_state["overlay"] = view.overlaid
    st.toggle("Overlaid in one panel", key="overlay", on_change=go, args=(replace(view, overlaid=not view.overlaid),))
    set_for = {each.label: each for each in view.ranges}
    st.caption("Shown, and the range of its values (empty: its own)")
    for label in labels:
        keys = (f"show {label}", f"low {label}", f"high {label}")
        known = set_for.get(label)
        st.session_state[keys[0]] = view.shows(label)
        st.session_state[keys[1]] = known.low if known else None
        st.session_state[keys[2]] = known.high if known else None
        columns = st.columns([3, 2, 2], vertical_alignment="center")
        columns[0].checkbox(literal(label), key=keys[0], on_change=partial(_switch, view, labels, label))
        for column, end, key in zip(columns[1:], ("lowest", "highest"), keys[1:], strict=True):
            column.number_input(
                f"{end} of {literal(label)}",
                key=key,
                placeholder="auto",
                label_visibility="collapsed",
                on_change=partial(_set_range, view, label, keys[1], keys[2]),
            )


def _switch(view: View, labels: Sequence[str], label: str) -> None:
    shown = tuple(each for each in labels if view.shows(each) != (each == label))
    go(replace(view, tracks=None if shown == tuple(labels) else shown))


def _set_range(view: View, label: str, low_key: str, high_key: str) -> None:
    """One end alone is completed to that of a probability; both empty is the track's own range."""
    low, high = st.session_state[low_key], st.session_state[high_key]
    others = tuple(each for each in view.ranges if each.label != label)
    if low is None and high is None:
        go(replace(view, ranges=others))
        return
    low, high = 0.0 if low is None else float(low), 1.0 if high is None else float(high)
    if low >= high:
        st.session_state[MESSAGE_KEY] = (f"{label}: expected a lowest value below the highest, got {low}, {high}", ())
        return
    go(replace(view, ranges=(*others, ValueRange(label, low, high))))
