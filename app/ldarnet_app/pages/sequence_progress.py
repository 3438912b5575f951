"""A bar that shows how far a model is."""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from ldarnet_app.live_model import Report

R = TypeVar("R")


def with_bar(text: str, compute: Callable[[Report], R]) -> R:
    """What compute gives. Streamlit ends the work where a reader presses something: at the bar's next move."""
    bar = st.progress(0.0, text)

    def report(done: int, total: int) -> None:
        bar.progress(done / total, f"{text}: {done:,} of {total:,}")

    result = compute(report)
    bar.empty()
    return result
