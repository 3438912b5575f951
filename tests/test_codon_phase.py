"""Codon phase on made-up genes: planted on both strands it is found, without one it is not, and the null holds."""

import numpy as np
import pandas as pd
import pytest

from ldarnet_analysis.codon_phase import PhaseCounts, coding_bases, codon_phase, phase_counts

NUM_GENES = 40
SPACING = 200
CONTIGS = {"c": SPACING * (NUM_GENES + 1)}


def transcript(number, strand):
    """Two exons that split a codon, with untranslated ends."""
    low = SPACING * number
    return {
        "transcript_id": f"t{number}",
        "gene_id": f"g{number}",
        "chrom": "c",
        "strand": strand,
        "exons": np.array([[low + 5, low + 51], [low + 80, low + 140]]),
        "cds_start": low + 10.0,
        "cds_end": low + 129.0,
    }


TRANSCRIPTS = pd.DataFrame([transcript(n, "+-"[n % 2]) for n in range(NUM_GENES)])


def tracks(position):
    """Values that cut before every base of this codon position, on each gene's own strand, and nowhere else."""
    plus, minus = np.full((2, SPACING * (NUM_GENES + 1)), 0.1, dtype=np.float32)
    for _, gene in TRANSCRIPTS.iterrows():
        bases = coding_bases(gene)[position::3]
        if gene["strand"] == "+":
            plus[bases] = 0.9
        else:
            minus[bases + 1] = 0.9  # the cut in front of a base, as the strand is read
    return (lambda chrom, start, end: plus[start:end]), (lambda chrom, start, end: minus[start:end])


def test_coding_bases_follow_the_strand():
    forward, reverse = coding_bases(TRANSCRIPTS.iloc[0]), coding_bases(TRANSCRIPTS.iloc[1])
    assert forward.tolist() == [*range(10, 51), *range(80, 129)]
    assert reverse.tolist() == [b + SPACING for b in forward[::-1]]
    assert len(forward) % 3 == 0
    none = TRANSCRIPTS.iloc[0].copy()
    none["cds_start"] = np.nan
    assert coding_bases(none).size == 0


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_planted_phase_is_found_on_both_strands(position):
    counts = phase_counts(TRANSCRIPTS, *tracks(position), CONTIGS)
    assert counts.num_bases.tolist() == [[30] * 3] * NUM_GENES
    want = [30 if each == position else 0 for each in range(3)]
    assert counts.num_cuts.tolist() == [want] * NUM_GENES
    found = codon_phase(counts, seed=0, num=200)
    assert found.rate.tolist() == [each / 30 for each in want]
    assert found.spread == 1
    assert found.p < 0.01
    assert found.null_hi < 0.7


def test_what_is_left_out():
    plus, minus = tracks(0)
    assert len(phase_counts(TRANSCRIPTS, plus, None, CONTIGS).num_cuts) == NUM_GENES // 2
    assert len(phase_counts(TRANSCRIPTS, plus, minus, {"other": 9}).num_cuts) == 0
    broken = TRANSCRIPTS.assign(cds_end=TRANSCRIPTS["cds_end"] - 1)
    assert len(phase_counts(broken, plus, minus, CONTIGS).num_cuts) == 0
    shorter = TRANSCRIPTS.assign(cds_end=TRANSCRIPTS["cds_end"] - 3, transcript_id="s")
    counts = phase_counts(pd.concat([shorter, TRANSCRIPTS]), plus, minus, CONTIGS)
    assert counts.num_bases.sum() == 90 * NUM_GENES, "the longest coding sequence of a gene, once"
    with pytest.raises(ValueError, match=r"expected 20 genes or more .* got 0"):
        codon_phase(phase_counts(TRANSCRIPTS, plus, minus, {"other": 9}), seed=0)


def test_a_gene_at_the_very_end_of_a_contig():
    end = int(TRANSCRIPTS.iloc[-1]["cds_end"])
    counts = phase_counts(TRANSCRIPTS, *tracks(0), {"c": end})
    assert counts.num_bases[-1].tolist() == [29, 30, 30], "the strand's first base has no value"


def test_bases_without_a_value_do_not_count():
    counts = phase_counts(TRANSCRIPTS, lambda chrom, start, end: np.full(end - start, np.nan), None, CONTIGS)
    assert counts.num_bases.sum() == 0


def test_without_a_phase_p_is_not_small():
    rng = np.random.default_rng(1)
    ps = []
    for seed in range(40):
        bases = np.full((60, 3), 100)
        ps.append(codon_phase(PhaseCounts(rng.binomial(bases, 0.3), bases), seed=seed, num=100).p)
    assert 0.3 < np.mean(ps) < 0.7
    assert np.mean(np.array(ps) < 0.1) < 0.3
