"""Tracks and analyses of the results pages, from sequences to figures.

    python benchmarks/results.py --data DIR --out results [--only human epdnew yeast worm] [--model default]
    python benchmarks/results.py --genome hg38.fa --annotation genes.gtf --out results --model FILE_OR_HUB_ID

With --data (a folder of human/, promoters/ and other_species/), the fixed test split: human windows and LRG records,
EPDnew promoters, yeast (its training chromosomes are in-sample), introns of worm chromosome V. With --genome, the same
panel on any genome. Tracks are the mean of both strands; a track that is there already is kept.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from default_model.split import FASTA, LRG, LRG_MAPPING, divide_genome, read_placements

from ldarnet import vocab
from ldarnet.genome import open_genome

LINE_BP = 80
HUMAN = ("human-chr19", "human-chr20-21", "human-lrg")
BED12 = "human/hg38_protein_coding_transcripts.bed12.gz"
EPDNEW = ("promoters/deepromoter_hs_pos_TATA.txt.gz", 249)


def ldarnet(*arguments):
    """Run the command, and say what is run and how long it took."""
    command = ["ldarnet", *map(str, arguments)]
    print("$", " ".join(command), flush=True)
    started = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("ldarnet"), *command[1:]], check=True)
    print(f"  {time.monotonic() - started:.0f} s", flush=True)


def write_parts(data, split, path, keep=lambda span: True):
    """A FASTA of the stretches of the human files that belong to a split, and the table of where they lie."""
    placements = read_placements(data / LRG_MAPPING)
    rows = []
    with path.open("w") as out:
        for name in HUMAN:
            with open_genome(data / FASTA[name]) as genome:
                length_of = dict(genome.contigs)
                for span in filter(keep, divide_genome(name, genome.contigs, placements)[split]):
                    whole = (span.start, span.end) == (0, length_of[span.chrom])
                    contig = span.chrom if whole else f"{span.chrom}:{span.start + 1}-{span.end}"
                    letters = vocab.decode(genome.ids(*span))
                    out.write(f">{contig}\n")
                    out.writelines(letters[i : i + LINE_BP] + "\n" for i in range(0, len(letters), LINE_BP))
                    if name != LRG:
                        rows.append((contig, span.chrom, span.start, span.end, "+"))
                    elif whole:
                        rows += [
                            (contig, p.span.chrom, p.span.start, p.span.end, "-" if p.is_reverse else "+")
                            for p in placements
                            # Where lengths differ, coordinates cannot be carried over base by base.
                            if p.record == contig and not p.slack_bp
                        ]
    pd.DataFrame(rows, columns=["contig", "chrom", "start", "end", "strand"]).to_csv(
        path.with_suffix(".records.tsv"), sep="\t", index=False
    )


def track_of(fasta, model, folder, regions=None):
    """The both-mean track of a FASTA, made unless it is there."""
    out = folder / f"{Path(fasta).name.partition('.')[0]}{'' if regions is None else '.' + regions}.bw"
    if not out.exists():
        chosen = [] if regions is None else ["--regions", regions]
        ldarnet("boundaries", "--fasta", fasta, "--out", out, "--model", model, "--strand", "both-mean", *chosen)
    return out


def human(data, inputs, out, model):
    fasta, train = inputs / "human_test.fa", inputs / "human_train.fa"
    write_parts(data, "test", fasta)
    # 6 Mb of chromosome 20: enough for a table of 10-mers.
    write_parts(data, "train", train, keep=lambda span: span.chrom == "chr20")
    records = fasta.with_suffix(".records.tsv")
    track, fitted = track_of(fasta, model, inputs), track_of(train, model, inputs)
    where = ["--track", track, "--fasta", fasta, "--annotation", data / BED12, "--records", records]
    lookup = ["--lookup-track", fitted, "--lookup-fasta", train]
    ldarnet("align", *where, *lookup, "--model", model, "--out", out / "human")


def epdnew(data, inputs, out, model):
    name, anchor = EPDNEW
    panel = inputs / "tata.toml"
    panel.write_text('[[entry]]\nname = "TATA-box"\niupac = "TATAWA"\nstrands = "sense"\nwindow = [-40, -18]\n')
    where = ["--aligned", data / name, "--anchor-index", anchor, "--panel", panel, "--flank", 70]
    # Sequences of 300 bases leave no room for controls at other places.
    rungs = ["--controls", "same-kmer,planted,ablated,shuffled"]
    ldarnet("align", *where, *rungs, "--model", model, "--out", out / "epdnew")


def yeast(data, inputs, out, model):
    fasta = data / FASTA["sacCer3"]
    annotation = data / "other_species/sacCer3.ensGene.gtf.gz"
    where = ["--track", track_of(fasta, model, inputs), "--fasta", fasta, "--annotation", annotation]
    ldarnet("align", *where, "--panel", "transcripts", "--model", model, "--out", out / "yeast")


def worm(data, inputs, out, model):
    fasta = data / FASTA["ce10"]
    annotation = data / "other_species/ce10_WS220_rnaseq_introns.bed.gz"
    panel = inputs / "splice.toml"
    panel.write_text("".join(f'[[entry]]\nname = "{k}"\nkind = "{k}"\n' for k in ("donor", "acceptor")))
    where = ["--track", track_of(fasta, model, inputs, regions="chrV"), "--fasta", fasta, "--annotation", annotation]
    ldarnet("align", *where, "--panel", panel, "--model", model, "--out", out / "worm")


PARTS = {"human": human, "epdnew": epdnew, "yeast": yeast, "worm": worm}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--genome", type=Path)
    parser.add_argument("--annotation", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args()
    if (args.data is None) == (args.genome is None) or (args.genome is None) != (args.annotation is None):
        parser.error("expected either --data, or --genome with --annotation")
    inputs = args.out / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    if args.genome:
        track = track_of(args.genome, args.model, inputs)
        where = ["--track", track, "--fasta", args.genome, "--annotation", args.annotation]
        ldarnet("align", *where, "--model", args.model, "--out", args.out / "genome")
        return
    for part in args.only:
        PARTS[part](args.data, inputs, args.out, args.model)


if __name__ == "__main__":
    main()
