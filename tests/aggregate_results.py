"""The results of a small analysis with all its matrices, made by the functions of the analysis itself."""

import json

import numpy as np
import pandas as pd

from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from ldarnet_analysis.balance import BALANCE_COLUMNS
from ldarnet_analysis.comparisons import Findings, compare, site_profiles, untested
from ldarnet_analysis.heatmaps import save_matrix
from ldarnet_analysis.panel import PanelEntry
from ldarnet_analysis.primary import fill_q, tests_table
from ldarnet_analysis.sites import SITE_COLUMNS

OFFSETS = np.arange(-30, 31)
SEED = 7
ENTRIES = (PanelEntry("donor", "donor", (-3, 3)), PanelEntry("few", "given", (-2, 2), cut_at=1))
NUM_LOCI = {"donor": 40, "few": 15}
SITES_PER_LOCUS = 3
WITHOUT_CONTROL = 10
CONTIG_BP = 20_000


def sites_of(name):
    """Three sites in each locus, on two contigs and both strands; the first site of a locus has no score."""
    rows = []
    for i in range(NUM_LOCI[name] * SITES_PER_LOCUS):
        locus, score = i // SITES_PER_LOCUS, np.nan if i % SITES_PER_LOCUS == 0 else i / 10
        chrom, strand = ("chr1", "chr,2")[locus % 2], "+-"[i % 2]
        rows.append((f"{name}:{i}", chrom, 5 + 90 * i, strand, name, f"locus{locus}", f"Gene{locus}", score))
    return pd.DataFrame(rows, columns=SITE_COLUMNS)


def pairs_of(sites, rung, num_controls):
    """So many controls for all but the first sites."""
    paired = sites.iloc[WITHOUT_CONTROL:]
    tables = [
        paired.assign(pair_id=f"{rung}:{i}:" + paired["site_id"], rung=rung, cut=paired["cut"] + 40)
        for i in range(num_controls)
    ]
    return pd.concat(tables, ignore_index=True)[["pair_id", "site_id", "rung", "chrom", "cut", "strand"]]


def values(rng, num_rows, height, spread):
    """Noise with a peak at +1, and gaps."""
    peak = height * np.exp(-0.5 * (OFFSETS - 1.0) ** 2)
    matrix = 0.4 + peak + rng.normal(0, spread, (num_rows, OFFSETS.size))
    matrix[rng.random(matrix.shape) < 0.02] = np.nan
    return np.clip(matrix, 0, 1).astype(np.float32)


def write_results(folder, seed=0):
    """Tables and matrices of two classes, the second with too few loci; rung random is refused, planted not run."""
    rng = np.random.default_rng(seed)
    findings, sites, pairs = Findings(), [], []
    (folder / "matrices").mkdir(parents=True, exist_ok=True)
    for entry in ENTRIES:
        table = sites_of(entry.name)
        loci = table["locus"].to_numpy()
        own = {"raw": values(rng, len(table), 0.3, 0.15)}
        own["residual"] = own["raw"] - np.float32(0.4)
        sites.append(table)
        site_profiles(findings, entry, own, OFFSETS, loci, SEED)
        _save(folder, entry.name, "sites", table["site_id"], own)
        for rung, num_controls in (("random", 1), ("gc", 2), ("same-kmer", 1)):
            drawn = pairs_of(table, rung, num_controls)
            pairs.append(drawn)
            found = {"raw": values(rng, len(drawn), 0.1, 0.15)}
            found["residual"] = found["raw"] - np.float32(0.4)
            rows = pd.Index(table["site_id"]).get_indexer(drawn["site_id"])
            both = {signal: (own[signal], found[signal]) for signal in own}
            refusal = "|SMD| of gc is 0.4" if rung == "random" else ""
            compare(findings, entry, rung, both, OFFSETS, loci, rows, unbalanced=refusal, seed=SEED)
            _save(folder, entry.name, rung, drawn["pair_id"], found)
        untested(findings, entry, "planted", "needs model", "pass <b>--model</b>")
    tables = {
        "sites": pd.concat(sites),
        "pairs": pd.concat(pairs),
        "balance": pd.DataFrame(columns=BALANCE_COLUMNS),
        "profiles": pd.concat(findings.profiles),
        "tests": fill_q(tests_table(findings.tests)),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="nan", float_format="%.17g")
    run = {"command": ["ldarnet", "align"], "settings": {"seed": SEED}}
    run["panel"] = [entry.provenance() for entry in ENTRIES]
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def write_track(path):
    """A track of the contigs that the sites lie on."""
    with open_writer(path, [Contig("chr1", CONTIG_BP), Contig("chr,2", CONTIG_BP)]) as writer:
        for name in ("chr1", "chr,2"):
            writer.write(name, 0, np.full(CONTIG_BP, 0.25, dtype=np.float32))
        writer.commit()
    return path


def _save(folder, name, rung, ids, matrices):
    for signal, matrix in matrices.items():
        end = "" if signal == "raw" else ".residual"
        provenance = {"class": name, "rung": rung, "signal": signal}
        path = folder / "matrices" / f"{name}.{rung}{end}.npz"
        save_matrix(path, matrix, OFFSETS, ids.to_numpy(dtype=str), provenance)
