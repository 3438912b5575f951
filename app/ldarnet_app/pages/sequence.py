"""The sequence page."""

from ldarnet_app.inputs import Inputs


def sequence_page(inputs: Inputs) -> None:
    """Draw the page."""
    raise NotImplementedError
