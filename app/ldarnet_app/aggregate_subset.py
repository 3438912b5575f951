"""A chosen part of the sites of a class, and what the analysis says of it: exploratory, as no one fixed it before."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet_analysis.comparisons import CUT_REACH_BP, PROFILE_COLUMNS, profile, window_means
from ldarnet_analysis.primary import primary_test, tests_table
from ldarnet_analysis.profiles import hard_cuts, has_cut
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import SITES
from ldarnet_app.file_cache import per_file
from ldarnet_app.sources.results import Places, Stamp, read_analysis, read_places

MAX_GENES_BYTES = 1_000_000
MAX_NAME_CHARS = 100


@dataclass(frozen=True)
class Subset:
    """Which sites of a class: on a strand, of a score (either bound may be open), on contigs, of genes; None for all.

    Genes are in lower case. A site without a score is in no range of scores.
    """

    strand: str | None = None
    score: tuple[float | None, float | None] | None = None
    chroms: frozenset[str] | None = None
    genes: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all sites are in it."""
        return self == Subset()


def parse_genes(text: str | bytes) -> frozenset[str]:
    """Names in a list, in lower case: apart by white space, commas or semicolons; lines with # are left out.

    Raises ValueError for lists that are too long, no text, or empty.
    """
    size = len(text)
    if size > MAX_GENES_BYTES:
        raise ValueError(f"gene list: expected at most {MAX_GENES_BYTES:,} bytes, got {size:,}")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"gene list: expected plain text (UTF-8), got other bytes: {error}") from error
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    names = " ".join(lines).replace(",", " ").replace(";", " ").split()
    wrong = next((name for name in names if len(name) > MAX_NAME_CHARS or not name.isprintable()), None)
    if wrong is not None:
        got = f"got {wrong[:20]!r}…"
        raise ValueError(f"gene list: expected names of at most {MAX_NAME_CHARS} printable characters, {got}")
    if not names:
        raise ValueError("gene list: expected at least one gene name, got none")
    return frozenset(name.casefold() for name in names)


def is_chosen(sites: pd.DataFrame, subset: Subset) -> np.ndarray:
    """Which rows of a table of sites are in the subset: bool [sites]."""
    chosen = pd.Series(True, index=sites.index)
    if subset.strand is not None:
        chosen &= sites["strand"] == subset.strand
    if subset.chroms is not None:
        chosen &= sites["chrom"].isin(subset.chroms)
    if subset.genes is not None:
        chosen &= sites["gene"].str.casefold().isin(subset.genes)
    if subset.score is not None:
        low, high = subset.score
        chosen &= sites["score"].between(-np.inf if low is None else low, np.inf if high is None else high)
    return np.asarray(chosen, dtype=bool)


@per_file(maxsize=12)
def chosen_places(folder: Path, stamp: Stamp, site_class: str, rung: str, signal: str, subset: Subset) -> Places | None:
    """The rows of a stored matrix whose sites are in the subset, hard cuts as 0 and 1; None where none is stored.

    Raises ValueError for damaged matrices, as all functions below do.
    """
    places = read_places(folder, stamp, site_class, rung, signal)
    if places is None:
        return None
    if not subset.is_whole:
        chosen = is_chosen(read_analysis(folder, stamp).of_class("sites", site_class), subset)
        rows = np.flatnonzero(chosen[places.table["site_row"]])
        places = Places(places.matrix[rows], places.offsets, places.table.iloc[rows])
    return places._replace(matrix=hard_cuts(places.matrix)) if signal == "cut-rate" else places


@per_file(maxsize=128)
def explored_profile(
    folder: Path, stamp: Stamp, site_class: str, rung: str, signal: str, subset: Subset
) -> pd.DataFrame | None:
    """Mean profile and its interval in a subset, as rows of profiles.tsv; None where no matrix is stored.

    By the function that made the profiles of the analysis, with its seed.
    """
    places = chosen_places(folder, stamp, site_class, rung, signal, subset)
    if places is None:
        return None
    if not len(places.matrix):
        return pd.DataFrame(columns=PROFILE_COLUMNS)
    seed = seed_of(read_analysis(folder, stamp))
    return profile(site_class, rung, signal, places.matrix, places.offsets, places.table["locus"].to_numpy(), seed=seed)


@per_file(maxsize=256)
def explored_test(
    folder: Path, stamp: Stamp, site_class: str, rung: str, signal: str, subset: Subset
) -> pd.DataFrame | None:
    """Effect and interval of a rung in a subset, as a row of tests.tsv without p, q and mde; None without matrices.

    By the function that made the tests of the analysis, with its seed; controls that the analysis refused are refused.
    """
    results = read_analysis(folder, stamp)
    # Hard cuts near the place of the cut are found in the raw values.
    kind = "residual" if signal == "residual" else "raw"
    sites = chosen_places(folder, stamp, site_class, SITES, kind, subset)
    controls = chosen_places(folder, stamp, site_class, rung, kind, subset)
    if sites is None or controls is None:
        return None
    num_sites = len(results.of_class("sites", site_class))
    row_of = np.full(num_sites, -1)
    row_of[sites.table["site_row"]] = np.arange(len(sites.table))
    pair_rows = row_of[controls.table["site_row"]]
    is_paired = pair_rows >= 0
    test = primary_test(
        _values(results, site_class, signal, sites),
        _by_site(_values(results, site_class, signal, controls)[is_paired], pair_rows[is_paired], len(sites.table)),
        sites.table["locus"].to_numpy(),
        site_class=site_class,
        rung=rung,
        signal=signal,
        unbalanced=_refusal(results, site_class, rung, signal),
        seed=seed_of(results),
        num_flips=1,
    )
    # A p of a part chosen after looking means nothing; the interval stays, as a description.
    return tests_table([replace(test, p=math.nan, mde=math.nan)])


def _values(results: Results, site_class: str, signal: str, places: Places) -> np.ndarray:
    """What is tested of each row: the mean of the test window, or whether there is a cut: float [rows]."""
    cut_at, window = cut_place(results, site_class), results.windows.get(site_class)
    if signal == "cut-rate" and cut_at is not None:
        return has_cut(places.matrix, places.offsets, cut_at, CUT_REACH_BP)
    if signal != "cut-rate" and window is not None:
        return window_means(places.matrix, places.offsets, window)
    what = "cut_at" if signal == "cut-rate" else "test_window"
    raise ValueError(f"{results.folder / 'run.json'}: expected {what} of {site_class} in the panel, got none")


def _by_site(values: np.ndarray, pair_rows: np.ndarray, num_sites: int) -> np.ndarray:
    """Values of controls under their sites: [sites, most controls of a site], NaN where a site has fewer."""
    place = pd.Series(pair_rows).groupby(pair_rows).cumcount().to_numpy()
    placed = np.full((num_sites, int(place.max()) + 1 if len(place) else 1), np.nan)
    placed[pair_rows, place] = values
    return placed


def _refusal(results: Results, site_class: str, rung: str, signal: str) -> str:
    """Why the analysis refused these controls as unbalanced; empty if it did not."""
    tests = results.of_class("tests", site_class)
    is_refused = (tests["rung"] == rung) & (tests["signal"] == signal) & (tests["status"] == "unbalanced")
    return str(tests.loc[is_refused, "reason"].iloc[0] or "not balanced") if is_refused.any() else ""


def cut_place(results: Results, site_class: str) -> int | None:
    """The offset at which hard cuts of a class are counted; None where run.json does not say it."""
    panel = results.run.get("panel")
    entries = [entry for entry in panel if isinstance(entry, dict)] if isinstance(panel, list) else []
    found = next((entry.get("cut_at") for entry in entries if entry.get("name") == site_class), None)
    return found if isinstance(found, int) else None


def seed_of(results: Results) -> int:
    """The seed of the analysis, 1 where run.json does not say it."""
    settings = results.run.get("settings")
    seed = settings.get("seed") if isinstance(settings, dict) else None
    return seed if isinstance(seed, int) and seed >= 0 else 1
