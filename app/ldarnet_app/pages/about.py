"""The about page."""

from ldarnet_app.inputs import Inputs


def about_page(inputs: Inputs) -> None:
    """Draw the page."""
    raise NotImplementedError
