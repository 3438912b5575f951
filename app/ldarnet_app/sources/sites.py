"""Sites of an analysis: which lie in a window, which comes next, and where a named one is."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet_analysis.sites import SITE_COLUMNS, read_sites
from ldarnet_app.file_cache import per_file


class Site(NamedTuple):
    """One row of sites.tsv."""

    site_id: str
    chrom: str
    cut: int
    strand: str
    site_class: str
    gene: str


class SiteIndex:
    """The sites of an analysis, sorted by contig and cut; several classes may share a cut."""

    def __init__(self, sites: pd.DataFrame) -> None:
        self._table = sites[SITE_COLUMNS].reset_index(drop=True)
        self._cuts = self._table["cut"].to_numpy()
        self._rows: dict[str, tuple[int, int]] = {}
        for chrom, rows in self._table.groupby("chrom", sort=False).indices.items():
            self._rows[str(chrom)] = (int(rows[0]), int(rows[-1]) + 1)
        self.classes: tuple[str, ...] = tuple(sorted(self._table["class"].unique()))

    def between(self, chrom: str, start: int, end: int) -> pd.DataFrame:
        """The sites whose cut is start..end, edges included, with SITE_COLUMNS."""
        low, high = self._rows.get(chrom, (0, 0))
        cuts = self._cuts[low:high]
        return self._table.iloc[
            low + int(np.searchsorted(cuts, start, side="left")) : low + int(np.searchsorted(cuts, end, side="right"))
        ]

    def beside(self, chrom: str, cut: int, *, forward: bool, site_class: str | None = None) -> Site | None:
        """The nearest site of a contig after (forward) or before a cut, of any class or of one; None at the end."""
        low, high = self._rows.get(chrom, (0, 0))
        rows = np.arange(low, high)
        if site_class is not None:
            rows = rows[(self._table["class"].iloc[low:high] == site_class).to_numpy()]
        cuts = self._cuts[rows]
        if forward:
            place = int(np.searchsorted(cuts, cut, side="right"))
        else:
            place = int(np.searchsorted(cuts, cut, side="left")) - 1
        return self._site(int(rows[place])) if 0 <= place < len(rows) else None

    def first(self) -> Site:
        """The first of all."""
        return self._site(0)

    def named(self, site_id: str) -> Site | None:
        """The site of that id, None if there is none."""
        rows = np.flatnonzero((self._table["site_id"] == site_id).to_numpy())
        return self._site(int(rows[0])) if len(rows) else None

    def ids(self, most: int) -> list[str]:
        """The first `most` ids."""
        return self._table["site_id"].head(most).tolist()

    def _site(self, row: int) -> Site:
        each = self._table.iloc[row]
        return Site(each["site_id"], each["chrom"], int(each["cut"]), each["strand"], each["class"], each["gene"])


@per_file(maxsize=2)
def _read(path: Path) -> SiteIndex:
    return SiteIndex(read_sites(path))


def site_index(results: Path) -> SiteIndex:
    """The sites of a results folder. Raises ValueError or OSError naming the file that is missing or malformed."""
    return _read(results / "sites.tsv")
