"""Do the cuts of a track keep to a position of the codon?

    python benchmarks/codon_phase.py --track plus.bw --track-minus minus.bw --annotation genes.gtf.gz

The longest coding sequence of every gene, read on its own strand: share of bases that start a chunk at codon positions
1, 2 and 3, with 95 % intervals over genes, beside the spread of the three when every gene's phase is turned at random.
A track of a later stage has values only where a chunk of the stage before starts: the shares are then of those.
"""

import argparse
import json
from contextlib import ExitStack

from ldarnet.tracks import open_track
from ldarnet_analysis.annotations import read_annotation
from ldarnet_analysis.codon_phase import codon_phase, phase_counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--track", required=True)
    parser.add_argument("--track-minus", help="without it, genes on - are left out")
    parser.add_argument("--annotation", required=True)
    parser.add_argument("--contig", action="append", help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    transcripts = read_annotation(options.annotation).transcripts
    with ExitStack() as stack:
        plus = stack.enter_context(open_track(options.track))
        minus = stack.enter_context(open_track(options.track_minus)) if options.track_minus else None
        lengths = {contig.name: contig.length_bp for contig in plus.contigs}
        contigs = {name: lengths[name] for name in options.contig or lengths}
        counts = phase_counts(transcripts, plus.values, minus and minus.values, contigs)
    found = codon_phase(counts, seed=options.seed)
    print("position   share of bases that start a chunk (95 % over genes)")
    for position in range(3):
        print(f"{position + 1:<10} {found.rate[position]:.4f} ({found.lo[position]:.4f} to {found.hi[position]:.4f})")
    print(
        f"{found.num_genes:,} genes; spread {found.spread:.4f}, with phases turned at random {found.null_spread:.4f} "
        f"(95 % below {found.null_hi:.4f}), p {found.p:.2g}"
    )
    print(
        json.dumps(
            [{"name": "codon phase", "ours": found.spread, "baseline": found.null_spread, "unit": "share of bases"}]
        )
    )


if __name__ == "__main__":
    main()
