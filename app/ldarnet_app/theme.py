"""Colours of every chart, light and dark; told apart by readers with any kind of colour vision."""

from dataclasses import dataclass

BASE_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00", "N": "#999999"}
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Theme:
    """`paper` behind, `ink` for text and axes, `faint` for grids, `block` for the two colours of the chunk ribbon."""

    name: str
    paper: str
    ink: str
    faint: str
    block: tuple[str, str]


LIGHT = Theme("light", "#ffffff", "#1f2328", "#e4e6ea", ("#b9c9dc", "#7f9dbf"))
DARK = Theme("dark", "#0e1117", "#e6e8eb", "#2b303b", ("#35506e", "#5d83ad"))


def theme_named(name: str | None) -> Theme:
    """DARK for "dark", else LIGHT."""
    return DARK if name == "dark" else LIGHT
