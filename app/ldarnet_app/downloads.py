"""Taking a view home: figure, data, link and command line."""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode, urlsplit

import plotly.graph_objects as go
import streamlit as st

from ldarnet_app.command_line import file_stem
from ldarnet_app.rendering import MIME_TYPES, NO_BROWSER, browser_path, render

DATA_MIME_TYPES = {".tsv": "text/tab-separated-values", ".json": "application/json"}


def offer_downloads(
    figure: Callable[[], go.Figure], name: str, data: Mapping[str, Callable[[], bytes]], command: str
) -> None:
    """Buttons for the figure as SVG, PNG and PDF and for data files (suffix to bytes), the link, the command line.

    `name` is the stem of the downloaded files. Nothing is rendered before its button is pressed. The link is that of
    the page's address at the time of the call; an empty `command` is left out.
    """
    with st.popover("Download and share", icon=":material/download:"):
        has_browser = browser_path() is not None
        with st.container(horizontal=True):
            for image_format, mime in MIME_TYPES.items():
                make = partial(_rendered, figure, image_format)
                _button(image_format.upper(), name, f".{image_format}", make, mime, disabled=not has_browser)
        with st.container(horizontal=True):
            for suffix, make_data in data.items():
                mime = DATA_MIME_TYPES.get(suffix, "text/plain")
                _button(suffix.removeprefix("."), name, suffix, make_data, mime)
        if not has_browser:
            st.caption(NO_BROWSER)
        st.caption("Link to this view")
        st.code(_link(), language=None, wrap_lines=True)
        if command:
            st.caption("The same from the command line")
            st.code(command, language="bash", wrap_lines=True)


def _button(
    label: str, name: str, suffix: str, make: Callable[[], bytes], mime: str, *, disabled: bool = False
) -> None:
    """Streamlit calls `make` when the button is pressed."""
    st.download_button(
        label,
        make,
        file_name=f"{file_stem(name)}{suffix}",
        mime=mime,
        key=f"download {name} {suffix}",
        on_click="ignore",
        disabled=disabled,
    )


def _rendered(figure: Callable[[], go.Figure], image_format: str) -> bytes:
    return render(figure(), image_format)


def _link() -> str:
    page = urlsplit(st.context.url or "")
    return page._replace(path=page.path or "/", query=urlencode(st.query_params.to_dict(), safe=":,-")).geturl()
