"""The locus page."""

from ldarnet_app.inputs import Inputs


def locus_page(inputs: Inputs) -> None:
    """Draw the page."""
    raise NotImplementedError
