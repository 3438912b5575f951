"""Letters that a model never saw: its loss beside tables of neighbouring letters, at the same positions.

    python benchmarks/heldout.py --genomes FOLDER [--model default] [--split test] [--max-windows 2000]

FOLDER holds genomes.toml and BED files whose fourth column is the split, as benchmarks/default_model/split.py writes
them. Genomes of one species (key `species`, or the name up to its first "-") are taken together: tables are fitted on
all of its train split and, with the model, score windows of the model's context spread evenly over the other split.
Of a masked model only positions shown as [MASK] count. Tables see the true neighbours where the model may see [MASK],
which favours them. A causal model foretells every base of a window but the first, and so do the tables that look to the
left. Compression (bases per chunk) and the share of tokens cut are measured with every letter shown.

The interval of the difference draws windows; for genomes of ten records or more (LRG) also whole records.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

import numpy as np

from ldarnet.checkpoint import load_model
from ldarnet.train.baselines import Flanks, Reach, count_words, fit_tables
from ldarnet.train.bootstrap import paired_bootstrap
from ldarnet.train.corpus import GenomeSource, load_genome, splits_of
from ldarnet.train.heldout import HeldOut, evaluate, summarize_cuts

HARDEST = {"masked": "flank5", "causal": "markov5"}
FEWEST_RECORDS = 10


def genomes_by_species(folder):
    """The [[genome]] tables of genomes.toml; paths are relative to it."""
    by_species = {}
    for genome in tomllib.loads((folder / "genomes.toml").read_text())["genome"]:
        species = genome.get("species", genome["name"].partition("-")[0])
        paths = {key: str(folder / genome[key]) for key in ("fasta", "intervals")}
        by_species.setdefault(species, []).append({"name": genome["name"], **paths})
    return by_species


def stretches_of(genomes, split):
    """Per genome that has rows of the split, its stretches."""
    return {
        genome["name"]: load_genome(GenomeSource(**genome, split=split)).stretches
        for genome in genomes
        if split in splits_of(genome["intervals"])
    }


def tables_for(objective, train):
    """Tables fitted on sequences of ids, the one with fewest neighbours first."""
    counts = count_words(train, Reach(5, 5))
    composition, markov, *flanks = fit_tables(counts, objective)
    return [composition, markov, *([Flanks.fit(counts, 2)] if flanks else []), *flanks]


def differences(result, hardest, windows, scored):
    """Model - hardest table by windows and, per genome of many records, by records: name -> Difference."""
    losses = (result.model.loss, result.tables[hardest].loss, result.num_hidden)
    found = {"": paired_bootstrap(*losses)}
    for name, stretches in scored.items():
        rows = np.isin(windows.records, [stretch.contig for stretch in stretches])
        records = windows.records[rows]
        if len(np.unique(records)) >= FEWEST_RECORDS:
            found[f"{name} by record"] = paired_bootstrap(*(sums[rows] for sums in losses), groups=records)
    return found


def chunk_lengths(cuts):
    """Their deciles in words; the longest are those of 32 bases or more."""
    counts = np.array(cuts.chunk_lengths)
    tenths = [1 + int(np.searchsorted(np.cumsum(counts), share * counts.sum())) for share in (0.1, 0.5, 0.9)]
    return "10 % up to {} bp, half up to {}, 90 % up to {}".format(*tenths)


def score_species(species, model, genomes, split, max_windows, say):
    """Print what was measured; the same as rows of JSON. None where the species has nothing of the split."""
    scored = stretches_of(genomes, split)
    train = [stretch.ids for stretches in stretches_of(genomes, "train").values() for stretch in stretches]
    if not scored or not train:
        say(f"{species:<12} no bases of the split {'train' if scored else split}: not scored", file=sys.stderr)
        return []
    objective, hardest = model.config.objective, HARDEST[model.config.objective]
    stretches = (stretch for stretches in scored.values() for stretch in stretches)
    every = HeldOut.tile(stretches, model.config.context_bp, objective=objective)
    windows = every.spread(max_windows or len(every.ids))
    result = evaluate(model, windows, tables_for(objective, train))
    loss = {"model": result.mean_loss(result.model)}
    loss |= {name: result.mean_loss(scores) for name, scores in result.tables.items()}
    accuracy = result.masked_accuracy(result.model)
    cuts = {strand: summarize_cuts(model, windows, strand=strand) for strand in "+-"}
    compression = {strand: summary.bases_per_chunk for strand, summary in cuts.items()}
    columns = ("positions", *loss, "accuracy")
    say(f"{species:<12}" + "".join(f"{column:>12}" for column in columns) + "   bp/chunk: +      -")
    losses = "".join(f"{value:>12.4f}" for value in loss.values())
    say(
        f"{'':<12}{result.num_hidden.sum():>12,}{losses}{accuracy:>12.4f}"
        f"{compression['+']:>12.2f}{compression['-']:>7.2f}"
    )
    shares = ", ".join(f"stage {stage} {share:.3f}" for stage, share in enumerate(cuts["+"].cut_share))
    say(f"{'':<12}share of tokens cut: {shares}; chunks of stage 0: {chunk_lengths(cuts['+'])}")
    say(
        f"{'':<12}{len(windows.ids):,} of {len(every.ids):,} windows ({every.num_unknown:,} more left out for N, "
        f"{every.left_over_bp:,} bases at ends); tables fitted on {sum(map(len, train)):,} bases"
    )
    rows = [(f"against {name}", loss["model"], value, "nats") for name, value in loss.items() if name != "model"]
    for name, difference in differences(result, hardest, windows, scored).items():
        mean, low, high, num_units = (getattr(difference, key) for key in ("mean", "low", "high", "num_units"))
        what = f"model - {hardest}{name and f', {name}'}"
        say(f"{'':<12}{what}: {mean:+.4f}, 95 % {low:+.4f} to {high:+.4f} ({num_units:,} drawn)")
        ends = (("", mean), (", 2.5 %", low), (", 97.5 %", high))
        rows += [(f"{what}{end}", value, None, "nats") for end, value in ends]
    rows.append((f"accuracy against {hardest}", accuracy, result.masked_accuracy(result.tables[hardest]), "share"))
    rows += [(f"compression {strand}", value, None, "bases/chunk") for strand, value in compression.items()]
    rows += [(f"cut share of stage {i}", value, None, "share") for i, value in enumerate(cuts["+"].cut_share)]
    return [
        {
            "name": f"held-out {species}: {name}",
            "device": next(model.parameters()).device.type,
            "dtype": "float32",
            "ours": ours,
            "baseline": baseline,
            "ratio": baseline and ours / baseline,
            "unit": unit,
        }
        for name, ours, baseline, unit in rows
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genomes", type=Path, required=True, help="folder of genomes.toml and its BED files")
    parser.add_argument("--model", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--split", default="test", help="what is scored; tables are always fitted on train")
    parser.add_argument("--species", nargs="+", help="only these")
    parser.add_argument("--max-windows", type=int, default=2000, help="per species, evenly apart; 0 = all")
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    args = parser.parse_args(argv)
    say = (lambda *_, **__: None) if args.json else print
    model = load_model(args.model, device=args.device)
    if model.config.vocabulary != "dna":
        parser.error(f"--model: expected a model of bases, got one of {model.config.vocabulary}")
    by_species = genomes_by_species(args.genomes)
    if unknown := set(args.species or ()) - by_species.keys():
        parser.error(f"--species: expected some of {', '.join(by_species)}, got {', '.join(sorted(unknown))}")
    say(f"Nats per {'[MASK]' if model.config.objective == 'masked' else 'base'}")
    rows = []
    for species in args.species or by_species:
        rows += score_species(species, model, by_species[species], args.split, args.max_windows, say)
    if not rows:
        raise SystemExit(f"{args.genomes}: no species has bases of both train and {args.split}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
