"""Tables of an analysis that never was, with every kind of row that a real one may have."""

import json

import numpy as np
import pandas as pd

from ldarnet_analysis.balance import BALANCE_COLUMNS
from ldarnet_analysis.density import DENSITY_COLUMNS
from ldarnet_analysis.heatmaps import save_matrix
from ldarnet_analysis.logos import BASES, LOGO_COLUMNS
from ldarnet_analysis.primary import TEST_COLUMNS
from ldarnet_analysis.result_tables import file_name
from ldarnet_analysis.sites import SITE_COLUMNS
from ldarnet_analysis.style import RUNGS, SITES

OFFSETS = np.arange(-200, 201)
PROFILE_COLUMNS = ["class", "rung", "signal", "offset", "mean", "lo", "hi", "n_sites", "n_loci"]
NAN = float("nan")
PEAKS = {"donor": (1, 0.30), "acceptor": (0, 0.18), "TATA-box": (0, 0.20), "GC-box": (3, -0.06)}
SIZES = {"donor": (1168, 214), "acceptor": (1121, 209), "TATA-box": (131, 117), "GC-box": (17, 14)}
CONSENSUS = {"donor": (-2, "AGGTAAGT"), "acceptor": (-6, "TTTCAGG"), "TATA-box": (0, "TATAAA"), "GC-box": (0, "GGGCGG")}


def profiles(seed=0):
    """Profiles of four classes; the last has too few loci for intervals."""
    rng = np.random.default_rng(seed)
    tables = []
    for cls, (peak, height) in PEAKS.items():
        num_sites, num_loci = SIZES[cls]
        bump = height * np.exp(-0.5 * ((OFFSETS - peak) / 1.8) ** 2) + 0.03 * np.cos(OFFSETS / 9)
        for rung in (SITES, "random", "gc", "matched", "same-kmer"):
            share = {SITES: 1.0, "same-kmer": 0.72}.get(rung, 0.06)
            for signal, base, scale in (("raw", 0.33, 1.0), ("residual", 0.0, 0.35), ("cut-rate", 0.2, 1.3)):
                mean = base + scale * share * bump + rng.normal(0, 0.35 / np.sqrt(num_sites), OFFSETS.size) * scale
                half = 1.2 / np.sqrt(num_loci) * 0.35 * scale * (1 if num_loci >= 20 else NAN)
                columns = {"class": cls, "rung": rung, "signal": signal, "offset": OFFSETS, "mean": mean}
                columns |= {"lo": mean - half, "hi": mean + half, "n_sites": num_sites, "n_loci": num_loci}
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)[PROFILE_COLUMNS]


def tests_table():
    """Whole ladders: tests found, not found, and not made for each kind of reason."""
    rows = []
    for number, cls in enumerate(PEAKS):
        num_sites, num_loci = SIZES[cls]
        for signal, scale in (("raw", 1.0), ("residual", 0.35)):
            for step, rung in enumerate(RUNGS):
                size = scale * PEAKS[cls][1] * (0.9 - 0.09 * step)
                half = 0.5 * scale / np.sqrt(num_loci)
                numbers = (size, size - half, size + half)
                chance = 1e-4 if abs(size) > half else 0.21 + 0.1 * number
                q = 2 * chance if (rung, signal) == ("same-kmer", "residual") else NAN
                ok = (cls, rung, signal, *numbers, chance, q, num_sites, num_loci, 1.4 * half, "ok", "")
                rows.append(_refused(cls, rung, signal, num_sites, num_loci) or ok)
    rows.append(("Inr", "same-kmer", "residual", *[NAN] * 5, 0, 0, NAN, "no sites", "no site in this class"))
    return pd.DataFrame(rows, columns=TEST_COLUMNS)


def _refused(cls, rung, signal, num_sites, num_loci):
    nothing = (cls, rung, signal, *[NAN] * 5, num_sites, num_loci, NAN)
    if cls == "GC-box":
        return (*nothing, "too few loci", f"{num_loci} loci, at least 20 needed")
    if rung in ("context-swap", "planted", "ablated") and cls != "donor":
        return (*nothing, "needs model", "this rung needs new sequences; run it with --model")
    if rung == "gc" and cls == "acceptor":
        return (*nothing, "unbalanced", "acceptor gc: |SMD| of gc_upstream is 0.213; acceptor gc: |SMD| of gc is 0.121")
    if rung == "same-dinucleotide" and "box" in cls:
        return (*nothing, "no sites", "same-dinucleotide is for donor and acceptor sites, got TATA-box")
    return None


def balance():
    """SMDs of three rungs, one infinite before matching, one not to be had."""
    rows = []
    for number, cls in enumerate(PEAKS):
        for rung in ("random", "gc", "matched"):
            names = ["gc", "gc_upstream", "gc_downstream"]
            names += ["cpg", "repeat_share", "log_tss_distance"] if rung == "matched" else []
            for step, name in enumerate(names):
                before = 0.62 - 0.17 * step + 0.05 * number
                after = before if rung == "random" else 0.08 * np.cos(step + number)
                rows.append((cls, rung, name, before, after))
    rows.append(("donor", "matched", "score", np.inf, NAN))
    return pd.DataFrame(rows, columns=BALANCE_COLUMNS)


def r2():
    """A curve as real tracks give it."""
    return pd.DataFrame({"k": [2, 4, 6, 8, 10], "r2": [0.89, 0.905, 0.914, 0.924, 0.93], "num_positions": 4_000_000})


def density():
    """Classes above, below, without difference, and without enough bins."""
    rows = []
    effects = {"promoter": -0.012, "CDS": 0.021, "UTR5": 0.004, "UTR3": -0.006, "intron": 0.002}
    for signal in ("cut-rate", "raw"):
        for matching, scale in (("none", 2.2), ("k=2", 1.0)):
            share = NAN if matching == "none" else 0.98
            for cls, effect in effects.items():
                size = effect * scale
                numbers = (0.24 + size, 0.24, size, size - 0.005, size + 0.005)
                rows.append((cls, signal, matching, *numbers, 10_000, share, 400, "ok", ""))
            few = "7 bins with values, expected at least 20"
            rows.append(("repeat", signal, matching, 0.2, 0.24, -0.04, NAN, NAN, 900, share, 7, "too few bins", few))
            rows.append(("intergenic", signal, matching, 0.24, 0.24, 0, NAN, NAN, 90_000, share, 900, "reference", ""))
    return pd.DataFrame(rows, columns=DENSITY_COLUMNS)


def logos(seed=1):
    """Base counts around the sites of each class, with its consensus at its place."""
    rng = np.random.default_rng(seed)
    tables = []
    for cls, (start, letters) in CONSENSUS.items():
        counts = rng.multinomial(SIZES[cls][0], [0.28, 0.22, 0.22, 0.28], OFFSETS.size)
        for i, letter in enumerate(letters):
            strong = np.full(4, 0.05)
            strong[BASES.index(letter)] = 0.85
            counts[np.searchsorted(OFFSETS, start + i)] = rng.multinomial(SIZES[cls][0], strong)
        tables.append(pd.DataFrame(counts, columns=list(BASES)).assign(offset=OFFSETS, **{"class": cls}))
    return pd.concat(tables, ignore_index=True)[LOGO_COLUMNS]


def sites():
    """A row for each site, several to a locus."""
    rows = []
    for cls, (num_sites, num_loci) in SIZES.items():
        for i in range(num_sites):
            locus = f"{cls}-locus{i % num_loci}"
            rows.append((f"{cls}:{i}", "chr19", 1000 + 7 * i, "+-"[i % 2], cls, locus, f"GENE{i % num_loci}", NAN))
    return pd.DataFrame(rows, columns=SITE_COLUMNS)


def pairs():
    """A control for all sites but three of each class."""
    table = sites()
    paired = table[table.groupby("class").cumcount() >= 3]
    drawn = [paired.assign(pair_id=rung + ":0:" + paired["site_id"], rung=rung) for rung in ("gc", "same-kmer")]
    return pd.concat(drawn, ignore_index=True)[["pair_id", "site_id", "rung", "chrom", "cut", "strand"]]


def unmatched():
    """Why three sites of each class have no control."""
    first = sites().groupby("class").head(3)
    reasons = ["caliper: none within reach", "window: its 400 bases leave the contig or hold N"]
    return pd.concat(
        first.assign(rung=rung, reason=[reasons[i % 2] for i in range(len(first))]) for rung in ("gc", "same-kmer")
    )[["class", "rung", "site_id", "reason"]]


def matrix(cls="donor", seed=2, num_sites=None):
    """A profile matrix with gaps."""
    rng = np.random.default_rng(seed)
    peak, height = PEAKS[cls]
    num = num_sites or SIZES[cls][0]
    strength = rng.uniform(0, 2, (num, 1))
    values = 0.33 + strength * height * np.exp(-0.5 * ((OFFSETS - peak) / 1.8) ** 2) + rng.normal(0, 0.1, (num, 401))
    values[rng.random(values.shape) < 0.01] = np.nan
    return np.clip(values, 0, 1).astype(np.float32)


RUN = {
    "command": ["ldarnet", "align", "--track", "probs.bw", "--fasta", "g.fa", "--annotation", "a b.gtf"],
    "versions": {"ldarnet": "0.1.0", "numpy": "2.4.6", "matplotlib": "3.11.2"},
    "inputs": {"track": {"name": "probs.bw", "sha256": "9f" * 32}, "fasta": {"name": "g.fa", "sha256": "1c" * 32}},
    "contigs": 1,
    "panel": [{"name": "donor", "kind": "donor", "test_window": [-3, 3]}],
    "settings": {"rungs": ["gc", "same-kmer"], "flank_bp": 200, "seed": 20261121, "force": False},
    "notes": ["donor gc: 3 of 1,168 sites have no control (caliper 2, window 1)"],
    "seconds": 61.2,
}
OPTIONAL = ("odds", "peaks", "r2", "density", "logos", "unmatched")


def odds():
    """Odds of hard cuts, without interval where loci are few."""
    rows = []
    for cls, (_, num_loci) in SIZES.items():
        bounds, status = ((1.4, 2.2), "ok") if num_loci >= 20 else ((NAN, NAN), "too few loci")
        rows += [(cls, rung, 1.76, *bounds, 0.44, 0.31, num_loci, status) for rung in ("gc", "same-kmer")]
    columns = ["class", "rung", "odds_ratio", "lo", "hi", "site_share", "control_share", "n_loci", "status"]
    return pd.DataFrame(rows, columns=columns)


def peaks():
    """Places and heights of two signals of the donors."""
    rows = [("donor", "raw", 1, 1, 1, 0.65, 0.61, 0.69), ("donor", "residual", 1, 0, 2, 0.11, 0.08, 0.14)]
    return pd.DataFrame(rows, columns=["class", "signal", "offset", "offset_lo", "offset_hi", "height", "lo", "hi"])


def tables():
    """All tables by name."""
    made = {"sites": sites(), "pairs": pairs(), "balance": balance(), "profiles": profiles(), "tests": tests_table()}
    optional = {"r2": r2(), "density": density(), "logos": logos(), "unmatched": unmatched()}
    return made | optional | {"odds": odds(), "peaks": peaks()}


def write_results(folder, *, classes=tuple(SIZES), renamed=None, optional=True, matrices=True, run=RUN):
    """The files of an analysis of some classes in a new folder; `renamed` gives classes other names."""
    folder.mkdir(parents=True, exist_ok=True)
    renamed = renamed or {}
    for name, table in tables().items():
        if "class" in table.columns and name != "density":
            table = table[table["class"].isin(classes)]
            table = table.assign(**{"class": table["class"].replace(renamed)})
        if name == "pairs":
            table = table[table["site_id"].str.rpartition(":")[0].isin(classes)]
        if optional or name not in OPTIONAL:
            table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="nan")
    (folder / "run.json").write_text(json.dumps(run))
    if matrices:
        (folder / "matrices").mkdir(exist_ok=True)
        for cls in classes:
            ids = np.array([f"{cls}:{i}" for i in range(SIZES[cls][0])])
            name = file_name(renamed.get(cls, cls))
            save_matrix(folder / "matrices" / f"{name}.{SITES}.npz", matrix(cls), OFFSETS, ids, {})
    return folder
