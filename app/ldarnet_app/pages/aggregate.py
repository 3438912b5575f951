"""The aggregate page: what an analysis found over all sites of a class, and over a part of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ldarnet_analysis.methods_text import command_text
from ldarnet_analysis.primary import tests_table
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import LOOKS, SIGNALS, SITES
from ldarnet_analysis.verdicts import headline
from ldarnet_app.aggregate_choice import Choice
from ldarnet_app.aggregate_subset import explored_profile, explored_test, is_chosen
from ldarnet_app.charts.forest_chart import forest_chart
from ldarnet_app.charts.profile_chart import profile_chart
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.inputs import Inputs
from ldarnet_app.pages.aggregate_choices import choose, draw_rows_choice
from ldarnet_app.pages.aggregate_rows import draw_rows
from ldarnet_app.pages.aggregate_tests import draw_tests
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.results import Stamp, classes_of, read_analysis, stamp_of
from ldarnet_app.theme import Theme, theme_named

_NO_RESULTS = (
    "No analysis is loaded. `ldarnet align` makes one of a track, a FASTA and an annotation; start the explorer with "
    "`--results FOLDER` to see it here."
)


def aggregate_page(inputs: Inputs) -> None:
    """Draw the page; results that are missing or damaged are said, with the file."""
    st.header("Aggregate")
    if inputs.results is None:
        st.info(_NO_RESULTS)
        return
    try:
        _draw(inputs, inputs.results, theme_named(st.context.theme.type))
    except (ValueError, OSError) as error:
        st.error(literal(f"These results cannot be shown. {error}"))
        st.caption("Run `ldarnet align` again into this folder, or start the explorer with other results.")


def _draw(inputs: Inputs, folder: Path, theme: Theme) -> None:
    stamp = stamp_of(folder)
    results = read_analysis(folder, stamp)
    if not classes_of(results):
        raise ValueError(f"{folder / 'tests.tsv'}: expected tests of at least one class, got none")
    choice = choose(results)
    by_score = choice.site_class in results.scored_classes
    finding = headline(results["tests"], choice.site_class, by_score=by_score)
    st.markdown(literal(f"All sites, pre-registered: {finding}"))
    if not choice.subset.is_whole:
        _announce_part(results, choice)
    _draw_profiles(results, stamp, choice, theme)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        st.subheader("Sites and controls, one by one")
        draw_rows_choice(results, choice)
        draw_rows(inputs, folder, stamp, choice, theme)
    with right:
        st.subheader("Against every control")
        _draw_ladder(results, stamp, choice, theme)
    st.subheader("Tests")
    draw_tests(results)


def _announce_part(results: Results, choice: Choice) -> None:
    sites = results.of_class("sites", choice.site_class)
    chosen = sites[is_chosen(sites, choice.subset)]
    counted = f"{len(chosen):,} of {len(sites):,} sites, {chosen['locus'].nunique():,} loci"
    st.warning(
        f"**Exploratory:** computed again for {counted}. This is not the pre-registered test.",
        icon=":material/science:",
    )


def _draw_profiles(results: Results, stamp: Stamp, choice: Choice, theme: Theme) -> None:
    profiles = results.of_class("profiles", choice.site_class)
    if choice.subset.is_whole:
        profiles = profiles[(profiles["signal"] == choice.signal) & profiles["rung"].isin([SITES, *choice.rungs])]
    else:
        which = (results.folder, stamp, choice.site_class)
        found = {rung: explored_profile(*which, rung, choice.signal, choice.subset) for rung in (SITES, *choice.rungs)}
        if missing := [LOOKS[rung].label for rung, rows in found.items() if rows is None]:
            st.caption(f"No profile matrix is stored of, and so nothing computed again for: {', '.join(missing)}.")
        profiles = pd.concat([profiles.iloc[:0], *(rows for rows in found.values() if rows is not None)])
    if not (profiles["rung"] == SITES).any():
        st.info(f"There is no {SIGNALS[choice.signal].name} profile of these sites.")
        return
    make = partial(
        profile_chart,
        profiles,
        signal=choice.signal,
        rungs=choice.rungs,
        title=_title(choice, "mean profile"),
        window=results.windows.get(choice.site_class),
    )
    st.plotly_chart(make(theme), theme=None, key="aggregate profile")
    _offer(results, choice, "profile", partial(make, theme), profiles)
    st.caption(
        "Bands: pointwise 95 % intervals, bootstrap of whole loci. Shaded: the window of the primary value. "
        "An offset o is about the cut left of base o."
    )


def _draw_ladder(results: Results, stamp: Stamp, choice: Choice, theme: Theme) -> None:
    tests = results.of_class("tests", choice.site_class)
    tests = tests[tests["signal"] == choice.signal]
    if tests.empty:
        st.info(f"There is no test of this class on the signal {SIGNALS[choice.signal].name}.")
        return
    explored = None if choice.subset.is_whole else _explored_tests(results, stamp, choice, list(tests["rung"]))
    title = f"{choice.site_class}: null ladder, {SIGNALS[choice.signal].name}"
    make = partial(forest_chart, tests, signal=choice.signal, title=title, explored=explored)
    st.plotly_chart(make(theme), theme=None, key="aggregate forest")
    data = tests.assign(sites="all")
    if explored is not None:
        data = pd.concat([data, explored.assign(sites="chosen, exploratory")])
    _offer(results, choice, "ladder", partial(make, theme), data)
    st.caption(
        "Sites less controls, 95 % intervals by locus. Number of loci; q, or in brackets the p of tests outside the "
        "pre-registered family."
    )
    if explored is not None:
        st.markdown("**The chosen part in numbers (exploratory)**")
        columns = ["rung", "effect", "lo", "hi", "n_sites", "n_loci", "status", "reason"]
        labels = [LOOKS[rung].label for rung in explored["rung"]]
        st.dataframe(
            explored[columns].assign(rung=labels),
            hide_index=True,
            column_config={"n_sites": "sites", "n_loci": "loci"}
            | {name: st.column_config.NumberColumn(format="%+.4f") for name in ("effect", "lo", "hi")},
        )
        if missing := [LOOKS[rung].label for rung in tests["rung"] if rung not in set(explored["rung"])]:
            st.caption(f"Nothing computed again, as no profile matrix is stored of: {', '.join(missing)}.")


def _explored_tests(results: Results, stamp: Stamp, choice: Choice, rungs: list[str]) -> pd.DataFrame:
    """Effects of the chosen part on the rungs that have matrices."""
    which = (results.folder, stamp, choice.site_class)
    found = [explored_test(*which, rung, choice.signal, choice.subset) for rung in dict.fromkeys(rungs)]
    return pd.concat([tests_table([]), *(row for row in found if row is not None)], ignore_index=True)


def _offer(results: Results, choice: Choice, what: str, figure: Callable[[], go.Figure], data: pd.DataFrame) -> None:
    name = f"{choice.site_class}.{choice.signal}.{what}"
    tsv = partial(data.to_csv, sep="\t", index=False, na_rep="nan", float_format="%.6g")
    offer_downloads(figure, name, {".tsv": lambda: tsv().encode()}, command_text(results))


def _title(choice: Choice, what: str) -> str:
    part = "" if choice.subset.is_whole else ", part of the sites (exploratory)"
    return f"{choice.site_class}: {what}, {SIGNALS[choice.signal].name}{part}"
