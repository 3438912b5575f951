"""How often do the tests of paired differences cry wolf, and how often do they miss? Null data from a real track.

    python benchmarks/calibration.py --track X.bw --fasta G.fa --annotation A.bed12 [--num 1000] [--out TABLES.md]

Real loci keep the number and spacing of their donors and are placed at random on the track; their controls are drawn
at random (`random`) or with the same number of G and C in 200 bp (`gc`). Nothing distinguishes sites from controls,
so every difference found is false. First table: share of null data sets called at 0.05, by each test offered. Second
table: an effect of 0.3 SD of the paired differences planted at offset +1: how often it is found. Without --track, a
made track and made loci are used. Data set i of a row depends on --seed, the row and i only, so rows can be run apart.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from _null_data import MARGIN_BP, OFFSETS, draw, read_line, read_loci, synthetic_line, synthetic_loci

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.effects import paired_effect
from ldarnet_analysis.locus_sums import MIN_LOCI
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.odds import odds_ratio
from ldarnet_analysis.peaks import peak, split_loci
from ldarnet_analysis.permutation import max_t, sign_flip_test
from ldarnet_analysis.primary import primary_test

ALPHA, LIMIT, TOO_CAREFUL = 0.05, 0.07, 0.03
PERMUTATION_TESTS = ("sign flips", "max-T")
NAN = float("nan")
NUM_RESAMPLES = 999
NUM_MEDIAN_RESAMPLES = 499
PRIMARY_WINDOW = np.abs(OFFSETS) <= 2
CENTRE = int(np.flatnonzero(OFFSETS == 0)[0])
PLANTED_AT = int(np.flatnonzero(OFFSETS == 1)[0])
PLANTED_SD = 0.3
NEAR = np.abs(OFFSETS) <= 50
FAMILY = 5
# A median of differences is centred on zero only if both sides are single draws; it takes long, so one rung has it.
MEDIAN_RUNG = ("gc", 1)


def differences(data):
    """Site profiles minus the mean of their controls', at every offset."""
    return data.sites - data.controls.mean(axis=1)


def misses(interval, truth=0.0):
    """1 where an interval leaves the truth out, NaN where there is none."""
    outside = (interval.lo > truth) | (interval.hi < truth)
    return np.where(np.isnan(interval.lo), NAN, outside).mean()


def false_positives(data, rung, controls_per_site, seed):
    """Which tests call this null data set, by name."""
    diffs, loci = differences(data), data.loci
    window = diffs[:, PRIMARY_WINDOW].mean(axis=1)
    site_cuts, control_cuts = data.sites[:, CENTRE] > CUT_THRESHOLD, data.controls[..., CENTRE] > CUT_THRESHOLD
    site_values, control_values = (side[..., PRIMARY_WINDOW].mean(axis=-1) for side in (data.sites, data.controls))
    names = {"site_class": "donor", "rung": rung, "signal": "raw"}
    numbers = {"num_flips": NUM_RESAMPLES, "num_resamples": NUM_RESAMPLES}
    row = primary_test(site_values, control_values, loci, **names, **numbers, seed=seed)
    paired = odds_ratio(site_cuts, control_cuts.mean(axis=1), loci)
    unpaired = odds_ratio(site_cuts, control_cuts.ravel(), loci, -1 - np.arange(control_cuts.size))
    called = {
        "sign flips": NAN if row.status != "ok" else row.p <= ALPHA,
        "max-T": max_t(diffs, loci, NUM_RESAMPLES, seed=seed).p_global <= ALPHA,
        "interval of mean": misses(row),
        "profile interval": misses(cluster_bootstrap(diffs, loci, num=NUM_RESAMPLES, seed=seed)),
        "odds ratio, paired": misses(paired, 1.0),
        "odds ratio, unpaired": misses(unpaired, 1.0),
        "peak height": NAN,
        "interval of median": NAN,
        "p": row.p,
    }
    if len(np.unique(loci)) >= 2 * MIN_LOCI:
        found = peak(diffs, loci, OFFSETS, split_loci(loci, seed=seed), NUM_RESAMPLES, seed=seed)
        called["peak height"] = misses(found)
    if (rung, controls_per_site) == MEDIAN_RUNG:
        median = cluster_bootstrap(window, loci, np.median, NUM_MEDIAN_RESAMPLES, seed=seed)
        called["interval of median"] = misses(median)
    return called


def planted(data, seed):
    """What is found of an effect planted into one offset, by name."""
    diffs, loci = differences(data), data.loci
    effect = PLANTED_SD * diffs[:, PLANTED_AT].std(ddof=1)
    shape = np.zeros(len(OFFSETS))
    shape[PLANTED_AT] = effect
    found = max_t(diffs + shape, loci, NUM_RESAMPLES, seed=seed)
    where = peak(diffs + shape, loci, OFFSETS, split_loci(loci, seed=seed), NUM_RESAMPLES, seed=seed)
    first = np.unique(loci, return_index=True)[1]
    single = (diffs + shape)[first]
    alone = max_t(single, loci[first], NUM_RESAMPLES, seed=seed)
    alone_near = max_t(single[:, NEAR], loci[first], NUM_RESAMPLES, seed=seed)
    scalar = diffs[:, PLANTED_AT].astype(np.float64)
    detectable = paired_effect(scalar, loci).minimum_detectable()
    flipped = sign_flip_test(scalar + detectable, loci, NUM_RESAMPLES, seed=seed)
    right_place = where.offset == OFFSETS[PLANTED_AT]
    return {
        "max-T": found.p[PLANTED_AT] <= ALPHA,
        "max-T, one site per locus": alone.p[PLANTED_AT] <= ALPHA,
        "the same within 50 bp": alone_near.p[OFFSETS[NEAR] == OFFSETS[PLANTED_AT]][0] <= ALPHA,
        "sign flips at the minimum detectable effect": flipped.p <= ALPHA,
        "interval of position holds it": where.offset_lo <= OFFSETS[PLANTED_AT] <= where.offset_hi,
        "interval of height holds it": where.lo <= effect <= where.hi if right_place else NAN,
    }


def calibrate(line, loci, rung, controls_per_site, num_loci, num, seed):
    """Rates of one row: false positives by test, what is found of a planted effect, and sites per data set."""
    calls, finds, num_sites = [], [], []
    for i in range(num):
        rng = np.random.default_rng((seed, rung == "gc", controls_per_site, num_loci, i))
        data = draw(rng, line, loci, num_loci, rung, controls_per_site)
        calls.append(false_positives(data, rung, controls_per_site, i))
        num_sites.append(len(data.loci))
        if num_loci >= 2 * MIN_LOCI:
            finds.append(planted(data, i))
    p = [call.pop("p") for call in calls]
    families = [benjamini_hochberg(np.array(p[i : i + FAMILY])) for i in range(0, num - FAMILY + 1, FAMILY)]
    rates = _rates(calls) | _rates([{f"any q of {FAMILY}": np.nanmin(q) <= ALPHA} for q in families])
    return rates, _rates(finds), float(np.mean(num_sites))


def _rates(results):
    columns = {name: np.array([result[name] for result in results], dtype=float) for name in (results or [{}])[0]}
    return {name: float(np.nanmean(each)) if (~np.isnan(each)).any() else NAN for name, each in columns.items()}


def table(rows, marked):
    """Markdown lines of rows {column: value}; shares that `marked` objects to are bold."""
    names = list(rows[0])
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(_cell(name, row, marked) for name in names) + " |"


def _cell(name, row, marked):
    value = row[name]
    if not isinstance(value, float):
        return str(value)
    text = "-" if np.isnan(value) else f"{value:.3f}"
    return f"**{text}**" if marked(name, value, row["loci"]) else text


def off_limits(test, rate, num_loci):
    """Whether a test calls too much, or a permutation test too little."""
    return rate > LIMIT or (test in PERMUTATION_TESTS and num_loci >= 50 and rate < TOO_CAREFUL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--track", help="bigWig, .npz or bedGraph")
    parser.add_argument("--fasta", help="the genome the track was made on")
    parser.add_argument("--annotation", help="GTF, GFF3 or BED12 whose loci are placed")
    parser.add_argument("--synthetic", action="store_true", help="a made track (as without --track)")
    parser.add_argument("--num", type=int, default=100, help="null data sets per row")
    parser.add_argument("--num-loci", type=int, nargs="+", default=[20, 50, 200])
    parser.add_argument(
        "--controls", nargs="+", default=["gc:1", "random:1", "random:5"], help="rung:controls per site"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the tables as Markdown")
    args = parser.parse_args()
    if args.track and not args.synthetic and not (args.fasta and args.annotation):
        parser.error("--track needs --fasta and --annotation")
    if args.synthetic or not args.track:
        rng = np.random.default_rng(args.seed)
        line, loci = synthetic_line(rng), synthetic_loci(rng)
    else:
        line = read_line(args.track, args.fasta)
        longest_bp = int(np.diff(line.stretches).max()) - 2 * MARGIN_BP
        loci, num_long = read_loci(args.annotation, longest_bp)
        print(
            f"{len(line.values):,} bases with values; {len(loci):,} loci, {num_long:,} too long to be placed left out"
        )
    sizes = np.array([len(locus) for locus in loci])
    print(f"sites per locus: median {np.median(sizes):.0f}, mean {sizes.mean():.1f}, largest {sizes.max()}")
    print(f"1 locus says as much as {sizes.mean() ** 2 / np.square(sizes).mean():.2f} loci of equal size")
    nulls, finds, report = [], [], []
    for controls in args.controls:
        rung, controls_per_site = controls.split(":")
        for num_loci in args.num_loci:
            start = time.perf_counter()
            rates, found, num_sites = calibrate(line, loci, rung, int(controls_per_site), num_loci, args.num, args.seed)
            head = {"controls": controls, "loci": num_loci, "sites": f"{num_sites:,.0f}"}
            nulls.append(head | rates)
            if found:
                finds.append(head | found)
            for kind, shares in (("called under the null", rates), ("planted", found)):
                report += [(f"{controls}, {num_loci} loci, {kind}: {test}", share) for test, share in shares.items()]
            print(f"{controls}, {num_loci} loci: {time.perf_counter() - start:.0f} s", flush=True)
    lines = [*table(nulls, off_limits), ""]
    if finds:
        lines += [*table(finds, lambda *_: False), ""]
    print("\n".join(["", *lines]))
    if args.out:
        args.out.write_text("\n".join(lines))
    common = {"device": "cpu", "dtype": "float64", "baseline": None, "ratio": None, "unit": "share of data sets"}
    shares = [{"name": name, "ours": None if np.isnan(share) else share} | common for name, share in report]
    print(json.dumps(shares))


if __name__ == "__main__":
    main()
