"""Taking a view home: figure, data, link and command line."""

from collections.abc import Callable, Mapping

import plotly.graph_objects as go


def offer_downloads(
    figure: Callable[[], go.Figure], name: str, data: Mapping[str, Callable[[], bytes]], command: str
) -> None:
    """Buttons for the figure as SVG, PNG and PDF and for data files (suffix to bytes), the link, the command line.

    `name` is the stem of the downloaded files. Nothing is rendered before its button is pressed.
    """
    raise NotImplementedError
