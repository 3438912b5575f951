"""Which pages the explorer has."""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import streamlit as st

from ldarnet_app.inputs import Inputs

ICON = Path(__file__).with_name("static") / "icon.png"
# Streamlit leaves the top quarter of a laptop's screen empty.
STYLE = "<style>.stMainBlockContainer { padding-top: 4rem; padding-bottom: 2rem; }</style>"
TITLES = {"locus": "Locus", "aggregate": "Aggregate", "sequence": "Try a sequence", "about": "About this data"}


def main() -> None:
    """Draw the page asked for. The inputs are the one argument of the script that Streamlit runs."""
    inputs = Inputs.from_json(sys.argv[1])
    pages = [
        # the address of the default page has no name
        st.Page(partial(_draw, name, inputs), title=title, url_path=name, default=name == "locus")
        for name, title in TITLES.items()
    ]
    page = st.navigation(pages, position="top")
    # A page's own icon, or none, would be fetched from the network.
    st.set_page_config(page_title=f"{page.title} - ldarnet explorer", page_icon=ICON, layout="wide")
    st.html(STYLE)
    page.run()


def _draw(name: str, inputs: Inputs) -> None:
    """A page is imported when it is first asked for: some need packages that the others do without."""
    try:
        module = import_module(f"ldarnet_app.pages.{name}")
    except ModuleNotFoundError as error:
        st.error(f"This page needs a package that is not installed ({error.name}): pip install 'ldarnet[app,analysis]'")
        return
    getattr(module, f"{name}_page")(inputs)
