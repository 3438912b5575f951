"""The table of tests of the aggregate page, with its filters."""

import pandas as pd
import streamlit as st

from ldarnet_analysis.primary import STATUSES
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import LOOKS, RUNGS, SIGNALS
from ldarnet_analysis.verdicts import RULE, rows_of, rung_look, verdict
from ldarnet_app.sources.results import classes_of

_NUMBERS = {"effect": "%+.4f", "lo": "%+.4f", "hi": "%+.4f", "p": "%.2g", "q": "%.2g", "mde": "%.4f"}
_ANY_Q = "any"


@st.fragment
def draw_tests(results: Results) -> None:
    """All tests of the analysis, those that could not be made with their reason; drawn again by itself."""
    tests = results["tests"]
    places = st.columns([3, 3, 2, 2, 1.4])
    classes = places[0].multiselect("Classes", classes_of(results), key="tests classes")
    rungs = places[1].multiselect(
        "Rungs",
        [rung for rung in RUNGS if (tests["rung"] == rung).any()],
        format_func=lambda rung: LOOKS[rung].label,
        key="tests rungs",
    )
    signals = places[2].multiselect(
        "Signals", list(SIGNALS), format_func=lambda name: SIGNALS[name].name, key="tests signals"
    )
    statuses = places[3].multiselect("Status", list(STATUSES), key="tests statuses")
    most = places[4].selectbox("q at most", [_ANY_Q, "0.1", "0.05", "0.01", "0.001"], key="tests q")
    shown = filtered(tests, classes, rungs, signals, statuses, max_q=None if most == _ANY_Q else float(most))
    if shown.empty:
        st.info(f"None of the {len(tests):,} tests passes these filters.")
    else:
        st.dataframe(
            _in_words(shown, results.scored_classes),
            hide_index=True,
            height=min(36 * (len(shown) + 1) + 3, 460),
            column_config={
                **{name: st.column_config.NumberColumn(format=form) for name, form in _NUMBERS.items()},
                "mde": st.column_config.NumberColumn("detectable", format=_NUMBERS["mde"]),
                "n_sites": st.column_config.NumberColumn("sites", format="localized"),
                "n_loci": st.column_config.NumberColumn("loci", format="localized"),
                "reason": st.column_config.TextColumn(width="large"),
            },
        )
    without_q = int(tests["q"].isna().sum())
    hidden = f" A limit on q hides the {without_q:,} tests that have none." if most != _ANY_Q else ""
    st.caption(f"{len(shown):,} of {len(tests):,} tests.{hidden}")
    st.download_button(
        "These tests as TSV",
        lambda: shown.to_csv(sep="\t", index=False, na_rep="nan").encode(),
        file_name="tests.tsv",
        mime="text/tab-separated-values",
        on_click="ignore",
        icon=":material/download:",
    )
    with st.expander("How to read the words"):
        st.markdown(RULE)


def filtered(
    tests: pd.DataFrame,
    classes: list[str],
    rungs: list[str],
    signals: list[str],
    statuses: list[str],
    *,
    max_q: float | None,
) -> pd.DataFrame:
    """The tests of these classes, rungs, signals and statuses (none named: of all) whose q is at most max_q."""
    kept = pd.Series(True, index=tests.index)
    for column, wanted in (("class", classes), ("rung", rungs), ("signal", signals), ("status", statuses)):
        if wanted:
            kept &= tests[column].isin(wanted)
    if max_q is not None:
        kept &= tests["q"] <= max_q
    return tests[kept]


def _in_words(tests: pd.DataFrame, scored: frozenset[str]) -> pd.DataFrame:
    is_scored = [name in scored for name in tests["class"]]
    words = [verdict(test, by_score=each) for test, each in zip(rows_of(tests), is_scored, strict=True)]
    shown = tests.assign(
        rung=[rung_look(rung, by_score=each).label for rung, each in zip(tests["rung"], is_scored, strict=True)],
        signal=[SIGNALS[signal].name for signal in tests["signal"]],
    )
    shown.insert(3, "in words", words)
    return shown
