"""Motif sites in promoters: strands, offsets and windows by hand, against slow code, and on real human TSS."""

import gzip
import importlib.util
import math
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.motif_scan import motif_hits
from ldarnet_analysis.motifs import BASES_OF_LETTER, CountMatrix
from ldarnet_analysis.promoter_presets import CONSENSUS_PRESETS, INR, MATRIX_PRESETS, TATA_BOX, with_motif_file
from ldarnet_analysis.promoters import MotifEntry, motif_sites, outside_windows, window_hits
from ldarnet_analysis.sites import SITE_COLUMNS, make_sites

TATA = MotifEntry("TATA-box", "TATAAA", "sense", (-40, -18))
GC = MotifEntry("GC-box", "GGGCGG", "both", (-110, -40))
LENGTH_BP = 300


def genome_of(**texts):
    return AlignedSequences(list(texts), [vocab.encode(text) for text in texts.values()], 0)


def with_word(word, at, background="C", length_bp=LENGTH_BP):
    return background * at + word + background * (length_bp - at - len(word))


def tss_at(*cuts, chrom="a", strand="+", **columns):
    return make_sites(chrom=chrom, cut=cuts, strand=strand, site_class="TSS", **columns)


def reversed_genome(genome):
    texts = {name: vocab.reverse_complement(genome.ids(name, 0, length)) for name, length in genome.contigs}
    return AlignedSequences(list(texts), list(texts.values()), 0)


def reversed_sites(sites, genome):
    """The same sites on the reverse complement: cut c is L - c, and the strand the other one."""
    lengths = dict(genome.contigs)
    cut = [lengths[chrom] - cut for chrom, cut in zip(sites["chrom"], sites["cut"], strict=True)]
    return sites.assign(cut=cut, strand=sites["strand"].replace({"+": "-", "-": "+"}))


def essence(sites):
    columns = ["chrom", "cut", "strand", "class", "locus", "gene", "score", "kmer", "tss_offset", "p_value"]
    return sorted(sites[columns].itertuples(index=False, name=None))


def test_tata_upstream_of_a_tss():
    genome = genome_of(a=with_word("TATAAA", 170))
    (site,) = motif_sites(genome, tss_at(200, gene="G", locus="L"), TATA).to_dict("records")
    assert site == {
        **{"site_id": "TATA-box:a:170:+", "chrom": "a", "cut": 170, "strand": "+", "class": "TATA-box"},
        **{"locus": "L", "gene": "G", "score": 12.0, "kmer": "TATAAA", "tss_offset": -30, "p_value": 4.0**-6},
    }
    assert motif_sites(genome, tss_at(200, strand="-"), TATA).empty


def test_tata_of_a_tss_on_the_other_strand():
    """Bases 170..175 read TTTATA: on - the box starts at cut 176, 30 bases before a TSS whose base is 145."""
    genome = genome_of(a=with_word("TTTATA", 170))
    (site,) = motif_sites(genome, tss_at(146, strand="-"), TATA).to_dict("records")
    assert (site["cut"], site["strand"], site["tss_offset"], site["kmer"]) == (176, "-", -30, "TATAAA")
    assert motif_sites(genome, tss_at(200), TATA).empty, "sense strand only"


def test_a_box_against_its_tss_is_anchored_at_its_own_5_prime_cut():
    genome = genome_of(a=with_word("CCGCCC", 130, background="A"))
    (site,) = motif_sites(genome, tss_at(200), GC).to_dict("records")
    assert (site["cut"], site["strand"], site["tss_offset"], site["kmer"]) == (136, "-", -64, "GGGCGG")
    (site,) = motif_sites(genome, tss_at(66, strand="-"), GC).to_dict("records")
    assert (site["cut"], site["strand"], site["tss_offset"], site["kmer"]) == (136, "-", -70, "GGGCGG")


@pytest.mark.parametrize("strand", ["+", "-"])
def test_windows_hold_the_whole_hit(strand):
    genome = genome_of(a=with_word("TATAAA", 150))
    genome = genome if strand == "+" else reversed_genome(genome)
    found = []
    for distance in range(20, 46):
        cut = 150 + distance if strand == "+" else LENGTH_BP - 150 - distance
        found += motif_sites(genome, tss_at(cut, strand=strand), TATA)["tss_offset"].tolist()
    assert found == list(range(-24, -41, -1)), "-40..-34 is the first place, -24..-18 the last"


def test_a_tss_base_is_base_zero():
    """Inr with its A on the TSS: the A is the base right of the TSS cut, so YYA starts at offset -2."""
    inr = CONSENSUS_PRESETS[3]
    genome = genome_of(a=with_word("CCAGTCC", 98, background="G"))
    assert motif_sites(genome, tss_at(100), inr)["tss_offset"].tolist() == [-2]
    assert motif_sites(reversed_genome(genome), tss_at(200, strand="-"), inr)["tss_offset"].tolist() == [-2]


def test_a_hit_seen_from_several_tss_is_one_site_of_the_nearest():
    genome = genome_of(a=with_word("TATAAA", 170))
    tss = tss_at(196, 199, 205, gene=["near", "middle", "far"], locus=["near", "middle", "far"])
    sites = motif_sites(genome, tss, TATA)
    assert sites[["gene", "locus", "tss_offset"]].to_numpy().tolist() == [["near", "near", -26]]
    assert window_hits(genome, tss, TATA).left.tolist() == [-26, -29, -35], "all three see it"


def test_overlapping_hits_and_palindromes_count_once():
    genome = genome_of(a=with_word("TATATATATA", 165))
    sites = motif_sites(genome, tss_at(200), replace(TATA, motif="TATATA"))
    assert sites["cut"].tolist() == [169], "of equal ones that nearest to the TSS"
    palindrome = motif_sites(genome_of(a=with_word("GAATTC", 130)), tss_at(200), replace(GC, motif="GAATTC"))
    assert palindrome[["cut", "strand"]].to_numpy().tolist() == [[130, "+"]]
    matrix = CountMatrix("M", "M", ((9, 0, 1, 0),) * 4)
    best = motif_sites(genome_of(a=with_word("GAAAAG", 170)), tss_at(200), replace(TATA, motif=matrix, p_value=0.02))
    assert best["kmer"].tolist() == ["AAAA"]


def test_boxes_of_promoters_back_to_back_stay_apart():
    """TATATA reads the same on both strands; it belongs to a promoter on each, and each counts on its strand."""
    genome = genome_of(a=with_word("TATATA", 150))
    tss = make_sites(chrom="a", cut=[180, 126], strand=["+", "-"], site_class="TSS")
    sites = motif_sites(genome, tss, replace(TATA, motif="TATATA"))
    assert sites[["cut", "strand", "tss_offset"]].to_numpy().tolist() == [[150, "+", -30], [156, "-", -30]]


def slow_hits(text, cut, strand, entry):
    """Offset of the upstream edge and direction of every match of an IUPAC entry, by regular expressions."""
    first, end = entry.window
    turned = str.maketrans("ACGTN", "TGCAN")
    read, at = (text, cut) if strand == "+" else (text[::-1].translate(turned), len(text) - cut)
    pattern = re.compile("".join(f"[{BASES_OF_LETTER[letter]}]" for letter in entry.motif))
    found = []
    for left in range(first, end - len(entry.motif) + 1):
        word = read[max(at + left, 0) : max(at + left + len(entry.motif), 0)] if at + left >= 0 else ""
        if pattern.fullmatch(word):
            found.append((left, False))
        if entry.strands == "both" and pattern.fullmatch(word[::-1].translate(turned)):
            found.append((left, True))
    return found


texts = st.text("ACGTN", min_size=1, max_size=60)
entries = st.builds(
    MotifEntry,
    name=st.just("E"),
    motif=st.sampled_from(["TA", "RY", "WWA", "C", "GCNY"]),
    strands=st.sampled_from(["sense", "both"]),
    window=st.tuples(st.integers(-15, 5), st.integers(4, 20)).map(lambda span: (span[0], span[0] + span[1])),
)


@st.composite
def promoters(draw):
    named = {name: draw(texts) for name in "ab"}
    places = st.sampled_from("ab").flatmap(
        lambda name: st.tuples(st.just(name), st.integers(0, len(named[name])), st.sampled_from("+-"))
    )
    chrom, cut, strand = zip(*draw(st.lists(places, min_size=1, max_size=6, unique=True)), strict=True)
    gene = [f"gene{i % 3}" for i in range(len(cut))]
    return (
        genome_of(**named),
        named,
        make_sites(chrom=chrom, cut=cut, strand=strand, site_class="TSS", gene=gene, locus=gene),
    )


@settings(deadline=None, max_examples=40)
@given(promoters(), entries)
def test_window_hits_against_regular_expressions(promoter, entry):
    genome, named, tss = promoter
    hits = window_hits(genome, tss, entry)
    found = list(zip(hits.tss.tolist(), hits.left.tolist(), hits.is_antisense.tolist(), strict=True))
    expected = [
        (row, *hit)
        for row, site in enumerate(tss.itertuples())
        for hit in slow_hits(named[site.chrom], site.cut, site.strand, entry)
    ]
    assert found == sorted(expected)


@settings(deadline=None, max_examples=40)
@given(promoters(), entries)
def test_sites_on_the_reverse_complement_are_the_same_sites(promoter, entry):
    genome, _, tss = promoter
    here = motif_sites(genome, tss, entry)
    there = motif_sites(reversed_genome(genome), reversed_sites(tss, genome), entry)
    assert essence(reversed_sites(there, genome)) == essence(here)


@settings(deadline=None, max_examples=40)
@given(promoters(), entries)
def test_sites_say_what_the_genome_says(promoter, entry):
    """The k-mer is at the cut, on the strand, at the offset from a TSS of its gene, and no two sites overlap."""
    genome, _, tss = promoter
    sites = motif_sites(genome, tss, entry)
    width = len(entry.motif)
    for site in sites.itertuples():
        start = site.cut if site.strand == "+" else site.cut - width
        ids = genome.ids(site.chrom, start, start + width)
        assert site.kmer == vocab.decode(ids if site.strand == "+" else vocab.reverse_complement(ids))
        origins = tss[(tss["gene"] == site.gene) & (tss["chrom"] == site.chrom)]
        offsets = (site.cut - origins["cut"]) * origins["strand"].map({"+": 1, "-": -1})
        assert site.tss_offset in offsets.tolist()
    grouping = ["chrom"] if entry.strands == "both" else ["chrom", "strand"]
    left = sites["cut"] - np.where(sites["strand"] == "+", 0, width)
    for _, starts in left.groupby([sites[name] for name in grouping]):
        assert (np.diff(np.sort(starts)) >= width).all()
    seen = window_hits(genome, tss, entry)
    assert sites.empty == (len(seen.tss) == 0)


def test_no_tss_and_no_hit_give_an_empty_table():
    genome = genome_of(a="C" * LENGTH_BP)
    tss = tss_at(200)
    for table in (motif_sites(genome, tss, TATA), motif_sites(genome, tss.iloc[:0], TATA)):
        assert table.empty
        assert table.columns.tolist() == [*SITE_COLUMNS, "kmer", "tss_offset", "p_value"]


@pytest.mark.parametrize(("chrom", "cut"), [("a", LENGTH_BP + 1), ("chr1", 5)])
def test_sites_of_another_assembly(chrom, cut):
    with pytest.raises(ValueError, match=f"site TSS:{chrom}:{cut}:[+] at {chrom}:{cut}: .*another assembly"):
        motif_sites(genome_of(a="C" * LENGTH_BP), tss_at(cut, chrom=chrom), TATA)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "expected a name"),
        ({"strands": "minus"}, "expected strands 'sense' or 'both', got 'minus'"),
        ({"window": (-18, -40)}, "expected a window with start < end within 10 kb"),
        ({"window": (-20_000, 0)}, "expected a window with start < end within 10 kb"),
        ({"window": (-5, 0)}, "expected a window that holds the motif [(]6 bases[)], got -5..0"),
        ({"p_value": 0.001}, "expected a p-value with a count matrix and none with an IUPAC string"),
        ({"motif": INR}, "expected a p-value with a count matrix and none with an IUPAC string"),
        ({"motif": "TATAXA"}, "motif TATAXA: expected IUPAC letters"),
        ({"motif": INR, "p_value": 1e-9}, "motif POL002.1: p-value 1e-09 cannot be reached"),
        ({"motif": TATA_BOX, "p_value": 1e-3, "window": (-31, -17)}, "holds the motif [(]15 bases[)]"),
    ],
)
def test_entries_that_cannot_be(changes, says):
    with pytest.raises(ValueError, match=says):
        replace(TATA, **changes)


def test_a_report_can_state_the_threshold():
    says = MATRIX_PRESETS[0].provenance()
    assert says["motif"] == "POL012.1"
    assert says["consensus"] == "STATAAAWR"
    assert (says["strands"], says["window"], says["p_value"]) == ("sense", (-40, -18), 5e-4)
    assert says["threshold_p_value"] <= says["p_value"]
    assert says["threshold_bits"] == MATRIX_PRESETS[0].scored.threshold / 1024
    assert CONSENSUS_PRESETS[0].provenance()["threshold_p_value"] == pytest.approx(2 / 4**6)


def test_motifs_from_a_file(tmp_path):
    path = tmp_path / "own.jaspar"
    path.write_text(">X1 box\n9 0 0 9\n0 0 9 0\n0 9 0 0\n1 1 1 1\n")
    tata, ccaat, *_ = with_motif_file(CONSENSUS_PRESETS, path, {"TATA-box": "X1"}, p_value=0.02)
    assert (tata.motif.motif_id, tata.p_value, tata.scored.consensus) == ("X1", 0.02, "AGCA")
    assert ccaat == CONSENSUS_PRESETS[1]
    assert with_motif_file(MATRIX_PRESETS, path, {}) == MATRIX_PRESETS
    (own, *_) = with_motif_file([replace(MATRIX_PRESETS[1], p_value=0.03)], path, {"CCAAT-box": "X1"}, p_value=0.02)
    assert (own.motif.motif_id, own.p_value) == ("X1", 0.03)
    with pytest.raises(ValueError, match=r"expected motifs .'X2'., the file has X1"):
        with_motif_file(CONSENSUS_PRESETS, path, {"TATA-box": "X2"})
    with pytest.raises(ValueError, match=r"'TATA'.: expected names of entries [(]TATA-box, CCAAT-box"):
        with_motif_file(CONSENSUS_PRESETS, path, {"TATA": "X1"})


@settings(deadline=None, max_examples=40)
@given(promoters(), entries)
def test_decoys_lie_outside_every_window(promoter, entry):
    genome, _, tss = promoter
    hits = motif_hits(genome, None, entry.scored)
    first, end = entry.window
    outside = []
    for hit in hits.itertuples():
        spans = [
            (site.cut + first, site.cut + end) if site.strand == "+" else (site.cut - end, site.cut - first)
            for site in tss.itertuples()
            if site.chrom == hit.chrom
        ]
        outside.append(all(hit.start + len(entry.motif) <= low or hit.start >= high for low, high in spans))
    assert outside_windows(hits, tss, entry).equals(hits[np.array(outside, dtype=bool)].reset_index(drop=True))


def test_aligned_sequences_are_a_genome():
    sequences = [vocab.encode(with_word("TATAAA", at)) for at in (170, 172, 100)]
    aligned = AlignedSequences(["x", "y", "z"], sequences, 200)
    sites = motif_sites(aligned, aligned.anchor_sites("TSS"), TATA)
    assert sites[["locus", "tss_offset"]].to_numpy().tolist() == [["x", -30], ["y", -28]]
    each_its_own = AlignedSequences(["x", "y"], sequences[:2], [200, 202])
    assert motif_sites(each_its_own, each_its_own.anchor_sites("TSS"), TATA)["tss_offset"].tolist() == [-30, -30]


@pytest.mark.parametrize(
    ("names", "anchors", "says"),
    [
        (["x"], 1, "a name and an anchor for every sequence, got 1 names, 2 sequences and 1 anchors"),
        (["x", "y"], [1], "got 2 names, 2 sequences and 1 anchors"),
        (["x", "x"], 1, "every name once, got 1 repeated"),
        (["x", "y"], 5, "sequence x: expected an anchor from 0 to its length 4, got 5"),
    ],
)
def test_aligned_sequences_refuse(names, anchors, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        AlignedSequences(names, [vocab.encode("ACGT")] * 2, anchors)


def test_tata_boxes_of_aligned_promoters(shared_data):
    """EPDnew TATA promoters with the TSS at index 249: the box is found about 30 bases upstream, and only there."""
    with gzip.open(shared_data / "data" / "promoters" / "deepromoter_hs_pos_TATA.txt.gz", "rt") as lines:
        sequences = [vocab.encode(line.strip()) for line in lines]
    aligned = AlignedSequences([f"promoter{i}" for i in range(len(sequences))], sequences, 249)
    tss = aligned.anchor_sites("TSS")
    assert len(tss) == 2929
    sites = motif_sites(aligned, tss, MATRIX_PRESETS[0])
    assert sites["locus"].nunique() > 0.4 * len(tss)
    downstream = motif_sites(aligned, tss, replace(MATRIX_PRESETS[0], window=(5, 27)))
    assert downstream["locus"].nunique() < 0.003 * len(tss)
    assert sites["tss_offset"].between(-33, -30).mean() > 0.85, "S of STATAAAWR; TATAAA starts one base later"
    boxes = motif_sites(aligned, tss, CONSENSUS_PRESETS[0])
    assert boxes["tss_offset"].mode()[0] == -30


@pytest.fixture(scope="module")
def core_promoters():
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "core_promoters.py"
    spec = importlib.util.spec_from_file_location("core_promoters", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lift_into_records(core_promoters, tmp_path):
    """A record on + and one on -, both of bases 101..200 (1-based) of chr1, and one with bases missing."""
    header = ["lrg", "gene", "assembly", "chrom", "mapping_type", "lrg_start", "lrg_end"]
    header += ["chrom_start", "chrom_end", "strand", "n_diff"]
    rows = [
        ["LRG_1", "G", "GRCh38", "1", "main_assembly", 1, 100, 101, 200, 1, 0],
        ["LRG_2", "G", "GRCh38", "1", "main_assembly", 1, 100, 101, 200, -1, 0],
        ["LRG_3", "G", "GRCh38", "1", "main_assembly", 1, 99, 101, 200, 1, 1],
        ["LRG_4", "G", "GRCh37.p13", "1", "other_assembly", 1, 100, 101, 200, 1, 0],
    ]
    path = tmp_path / "map.tsv"
    pd.DataFrame(rows, columns=header).to_csv(path, sep="\t", index=False)
    tss = pd.DataFrame({"chrom": "chr1", "cut": [100, 130, 200, 201], "strand": ["+", "-", "+", "+"], "gene": "G"})
    lifted = core_promoters.lift(tss, path)
    assert sorted(zip(lifted["chrom"], lifted["cut"], lifted["strand"], strict=True)) == [
        *[("LRG_1", 0, "+"), ("LRG_1", 30, "-"), ("LRG_1", 100, "+")],
        *[("LRG_2", 0, "-"), ("LRG_2", 70, "+"), ("LRG_2", 100, "-")],
    ]


def test_core_promoters_of_human_genes(core_promoters, shared_data):
    """Shares known from an independent count: coordinates and strands are right, or these would even out."""
    known = {"TATAWA": (1.7, 0.4), "CCAAT/ATTGG": (9.5, 4.2), "GGGCGG/CCGCCC": (17.3, 9.1)}
    folder = shared_data / "data" / "human"
    files = (*core_promoters.WINDOWS, "lrg_genomic.fa.gz")
    with ExitStack() as stack:
        genome = core_promoters.Contigs([stack.enter_context(open_genome(folder / name)) for name in files])
        tss = core_promoters.tss_with_flanks(genome, folder)
        assert len(tss) == 7433
        for entry, control in core_promoters.CHECKS:
            there = core_promoters.percent_with_hit(genome, tss, entry)
            elsewhere = core_promoters.percent_with_hit(genome, tss, replace(entry, window=control))
            assert math.dist((there, elsewhere), known[entry.name]) < 0.3
            turned = tss.assign(strand=tss["strand"].map({"+": "-", "-": "+"}))
            assert core_promoters.percent_with_hit(genome, turned, entry) < 0.7 * there
