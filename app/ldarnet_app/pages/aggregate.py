"""The aggregate page."""

from ldarnet_app.inputs import Inputs


def aggregate_page(inputs: Inputs) -> None:
    """Draw the page."""
    raise NotImplementedError
