"""The explorer's script: which pages there are. Run by Streamlit, with the inputs as its one argument."""

import sys
from functools import partial

import streamlit as st

from ldarnet_app.inputs import Inputs
from ldarnet_app.pages.about import about_page
from ldarnet_app.pages.aggregate import aggregate_page
from ldarnet_app.pages.locus import locus_page
from ldarnet_app.pages.sequence import sequence_page


def main() -> None:
    """Draw the page asked for."""
    inputs = Inputs.from_json(sys.argv[1])
    st.set_page_config(page_title="ldarnet explorer", layout="wide")
    pages = [
        st.Page(
            partial(locus_page, inputs), title="Locus", url_path="locus", icon=":material/straighten:", default=True
        ),
        st.Page(
            partial(aggregate_page, inputs),
            title="Aggregate",
            url_path="aggregate",
            icon=":material/stacked_line_chart:",
        ),
        st.Page(partial(sequence_page, inputs), title="Try a sequence", url_path="sequence", icon=":material/edit:"),
        st.Page(partial(about_page, inputs), title="About this data", url_path="about", icon=":material/info:"),
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
