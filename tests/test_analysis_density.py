"""Classes of bases, and densities compared at equal composition, held to counting one cut at a time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Contig, open_genome
from ldarnet.stitch import from_reverse_complement
from ldarnet_analysis import density
from ldarnet_analysis.annotation_classes import CLASSES, UNCLASSED, PromoterSpan, class_map
from ldarnet_analysis.density import DENSITY_COLUMNS, DensitySums, density_sums, density_table

NAN = float("nan")
LENGTH_BP = 400
PROMOTER = PromoterSpan(12, 3)
TURNED = {"+": "-", "-": "+", ".": "."}


class ArrayTrack:
    def __init__(self, **arrays):
        self.arrays = arrays
        self.contigs = [Contig(name, len(values)) for name, values in arrays.items()]

    def values(self, chrom, start, end):
        return self.arrays[chrom][start:end]


def transcript(strand, exons, cds=(NAN, NAN), chrom="chr1", tss_known=True, span=None):
    exons = np.array(exons, dtype=np.int64).reshape(-1, 2)
    start, end = span or (exons[0, 0], exons[-1, 1])
    return {
        "transcript_id": "t", "gene_id": "g", "chrom": chrom, "strand": strand, "start": int(start), "end": int(end),
        "exons": exons, "cds_start": cds[0], "cds_end": cds[1], "tss_known": tss_known,
    }  # fmt: skip


def annotation(*rows):
    return pd.DataFrame(list(rows), columns=list(transcript("+", [(0, 1)])))


@st.composite
def transcripts(draw):
    edges = sorted(draw(st.sets(st.integers(0, LENGTH_BP), min_size=2, max_size=8)))
    exons = list(zip(edges[::2], edges[1::2], strict=False))
    cds = (NAN, NAN)
    if draw(st.booleans()):
        cds = tuple(map(float, sorted(draw(st.sets(st.integers(exons[0][0], exons[-1][1]), min_size=2, max_size=2)))))
    known = draw(st.booleans() if draw(st.integers(0, 3)) == 0 else st.just(True))
    strand = draw(st.sampled_from("+-+-+-."))
    if draw(st.integers(0, 7)) == 0:
        return transcript(strand, [], cds, tss_known=known, span=(exons[0][0], exons[-1][1]))
    return transcript(strand, exons, cds, tss_known=known)


annotations = st.lists(transcripts(), min_size=1, max_size=5).map(lambda rows: annotation(*rows))
some_repeats = st.none() | st.lists(st.tuples(st.integers(0, 380), st.integers(0, 40)), max_size=4).map(
    lambda spans: pd.DataFrame([("chr1", a, a + n) for a, n in spans], columns=["chrom", "start", "end"])
)


def classes_by_definition(rows, repeats):
    """Base by base, the first of CLASSES that any transcript gives."""
    records = rows.to_dict("records")
    spans = [] if repeats is None else repeats[["start", "end"]].to_numpy().tolist()
    return [class_of_base(base, records, spans) for base in range(LENGTH_BP)]


def class_of_base(base, rows, repeats):
    found, says_nothing = {"intergenic"}, False
    for row in rows:
        if row["strand"] == "." or not len(row["exons"]):
            says_nothing |= row["start"] <= base < row["end"]
            continue
        upstream = row["start"] - base if row["strand"] == "+" else base - row["end"] + 1
        if -PROMOTER.downstream_bp < upstream <= PROMOTER.upstream_bp:
            found |= {"promoter"} if row["tss_known"] else set()
            says_nothing |= not row["tss_known"]
        if not row["start"] <= base < row["end"]:
            continue
        if not any(start <= base < end for start, end in row["exons"]):
            found.add("intron")
        elif np.isnan(row["cds_start"]):
            found.add("noncoding-exon")
        elif row["cds_start"] <= base < row["cds_end"]:
            found.add("CDS")
        else:
            found.add("UTR5" if (base < row["cds_start"]) == (row["strand"] == "+") else "UTR3")
    in_repeat = any(start <= base < end for start, end in repeats)
    if found == {"intergenic"} and says_nothing:
        return UNCLASSED
    if in_repeat:
        found.add("repeat")
    return next(code for code, name in enumerate(CLASSES) if name in found)


@given(annotations, some_repeats)
@settings(max_examples=100, deadline=None)
def test_the_class_of_a_base_is_the_first_that_any_transcript_gives(rows, repeats):
    codes = class_map(rows, Contig("chr1", LENGTH_BP), promoter=PROMOTER, repeats=repeats)
    assert codes.tolist() == classes_by_definition(rows, repeats)


def test_utrs_and_promoters_follow_the_strand():
    letter_of = {"CDS": "C", "UTR5": "5", "UTR3": "3", "promoter": "p", "intron": "n", "intergenic": "."}
    for strand, expected in (
        ("+", "." * 5 + "p" * 15 + "55555CCCCC" + "n" * 10 + "CCCCC33333" + "." * 20),
        ("-", "." * 20 + "33333CCCCC" + "n" * 10 + "CCCCC55555" + "p" * 15 + "." * 5),
    ):
        rows = annotation(transcript(strand, [(20, 30), (40, 50)], (25.0, 45.0)))
        codes = class_map(rows, Contig("chr1", 70), promoter=PromoterSpan(15, 0))
        assert "".join(letter_of[CLASSES[code]] for code in codes) == expected


def test_a_contig_may_be_the_first_part_of_a_chromosome():
    rows = annotation(transcript("+", [(20, 30), (50, 70)], (25.0, 65.0)), transcript("-", [(62, 70)]))
    whole, part = (class_map(rows, Contig("chr1", length_bp), promoter=PROMOTER) for length_bp in (90, 60))
    np.testing.assert_array_equal(part, whole[:60])


@pytest.fixture
def genome_of(tmp_path):
    def make(**letters):
        path = tmp_path / "genome.fa"
        path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in letters.items()))
        return open_genome(path)

    return make


def random_letters(length_bp, rng, letters="ACGT"):
    return "".join(rng.choice(list(letters), length_bp))


def random_values(length_bp, rng):
    values = rng.random(length_bp, dtype=np.float32)
    values[rng.random(length_bp) < 0.1] = NAN
    values[0] = NAN
    return values


@given(annotations, some_repeats, st.sampled_from([2, 4]), st.sampled_from([7, 50, 1000]), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_are_those_of_counting_cut_by_cut(genome_of, monkeypatch, rows, repeats, k, bin_bp, seed):
    monkeypatch.setattr(density, "_READ_BP", 120)
    rng = np.random.default_rng(seed)
    letters = {"chr2": random_letters(90, rng), "chr1": random_letters(LENGTH_BP, rng, "ACGTACGTACGTN")}
    track = ArrayTrack(**{name: random_values(len(sequence), rng) for name, sequence in letters.items()})
    with genome_of(**letters) as genome:
        sums = density_sums(track, genome, rows, k=k, bin_bp=bin_bp, promoter=PROMOTER, repeats=repeats)
    num_bins = [-(-len(sequence) // bin_bp) for sequence in letters.values()]
    expected = np.zeros((3, sum(num_bins), len(CLASSES), 4**k))
    num_apart = 0
    for chrom, sequence in letters.items():
        on_chr1 = chrom == "chr1"
        codes = classes_by_definition(rows, repeats) if on_chr1 else [len(CLASSES) - 1] * len(sequence)
        for cut in range(k // 2, len(sequence) - k // 2 + 1):
            kmer = sequence[cut - k // 2 : cut + k // 2]
            value = float(track.arrays[chrom][cut]) if cut < len(sequence) else NAN
            if "N" in kmer or np.isnan(value):
                continue
            if codes[cut - 1] != codes[cut] or codes[cut] == UNCLASSED:
                num_apart += 1
                continue
            row = cut // bin_bp + (num_bins[0] if on_chr1 else 0)
            number = int("".join(str("ACGT".index(letter)) for letter in kmer), 4)
            expected[:, row, codes[cut], number] += [1, value, value > 0.5]
    np.testing.assert_allclose([sums.num, sums.values, sums.hard_cuts], expected, rtol=1e-12)
    assert sums.notes[0].startswith(f"{num_apart:,} cuts with a value are between two classes")


@given(annotations, st.integers(0, 2**32))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_reverse_complement_has_the_same_densities(genome_of, rows, seed):
    rng = np.random.default_rng(seed)
    letters, values = random_letters(LENGTH_BP, rng), random_values(LENGTH_BP, rng)
    turned = rows.assign(
        strand=rows["strand"].map(TURNED),
        start=LENGTH_BP - rows["end"],
        end=LENGTH_BP - rows["start"],
        exons=rows["exons"].map(lambda exons: (LENGTH_BP - exons)[::-1, ::-1]),
        cds_start=LENGTH_BP - rows["cds_end"],
        cds_end=LENGTH_BP - rows["cds_start"],
    )
    backward = vocab.decode(vocab.reverse_complement(vocab.encode(letters)))
    with genome_of(chr1=letters) as genome:
        one = density_sums(ArrayTrack(chr1=values), genome, rows, promoter=PROMOTER)
    with genome_of(chr1=backward) as genome:
        other = density_sums(ArrayTrack(chr1=from_reverse_complement(values)), genome, turned, promoter=PROMOTER)
    # the dinucleotide xy is read as the complements of y and x on the other strand
    of_other = [4 * (3 - number % 4) + (3 - number // 4) for number in range(16)]
    for name in ("num", "values", "hard_cuts"):
        here, there = (getattr(sums, name).sum(axis=0) for sums in (one, other))
        np.testing.assert_allclose(here, there[:, of_other], rtol=1e-9)


def gene_rich_contig(num_genes, rng, gc_of_genes=0.7):
    """Genes of one 300 bp CDS every 1,000 bp, rich in G and C, between bases that are not."""
    is_gene = np.arange(num_genes * 1000) % 1000 >= 700
    is_gc = rng.random(is_gene.size) < np.where(is_gene, gc_of_genes, 0.4)
    ids = np.where(is_gc, rng.integers(1, 3, is_gene.size), 3 * rng.integers(0, 2, is_gene.size)).astype(np.uint8)
    genes = [
        transcript("+-"[i % 2], [(i * 1000 + 700, i * 1000 + 1000)], (i * 1000 + 700.0, i * 1000 + 1000.0))
        for i in range(num_genes)
    ]
    return ids, annotation(*genes)


def row_of(found, name, signal, matching):
    return found.set_index(["class", "signal", "matching"]).loc[(name, signal, matching)]


def test_a_track_that_reads_dinucleotides_only_has_no_effect_at_equal_composition(genome_of):
    rng = np.random.default_rng(8)
    ids, rows = gene_rich_contig(60, rng)
    num_gc = np.add.outer([0, 1, 1, 0], [0, 1, 1, 0]).ravel()
    of_dinucleotide = (0.5 * rng.random(16) + 0.25 * num_gc).astype(np.float32)
    values = np.concatenate([[NAN], of_dinucleotide[ids[:-1] * 4 + ids[1:]]]).astype(np.float32)
    with genome_of(chr1=vocab.decode(ids)) as genome:
        sums = density_sums(ArrayTrack(chr1=values), genome, rows, bin_bp=1000, promoter=PromoterSpan(0, 0))
    found = density_table(sums, num_draws=200)
    assert list(found.columns) == DENSITY_COLUMNS
    for signal in ("raw", "cut-rate"):
        plain, matched = (row_of(found, "CDS", signal, matching) for matching in ("none", "k=2"))
        assert abs(plain["effect"]) > 0.02 and not plain["lo"] <= 0 <= plain["hi"]
        assert abs(matched["effect"]) < 1e-9
        assert matched["matched_share"] == 1 and matched["num_cuts"] == 60 * 299 and matched["num_bins"] == 60


def test_a_planted_effect_is_found_at_equal_composition(genome_of):
    rng = np.random.default_rng(9)
    ids, rows = gene_rich_contig(100, rng)
    chance = np.where(np.arange(ids.size) % 1000 >= 700, 0.35, 0.25) - 0.1 * np.isin(ids, [1, 2])
    values = np.where(rng.random(ids.size) < chance, 0.9, 0.1).astype(np.float32)
    values[0] = NAN
    with genome_of(chr1=vocab.decode(ids)) as genome:
        sums = density_sums(ArrayTrack(chr1=values), genome, rows, bin_bp=1000, promoter=PromoterSpan(0, 0))
    found = density_table(sums, num_draws=500)
    cut_rate = row_of(found, "CDS", "cut-rate", "k=2")
    assert cut_rate["status"] == "ok" and 0 < cut_rate["lo"] < 0.1 < cut_rate["hi"] < 0.13
    assert cut_rate["effect"] == pytest.approx(0.1, abs=0.01)
    # 0.8 more p at each cut
    assert row_of(found, "CDS", "raw", "k=2")["effect"] == pytest.approx(0.8 * cut_rate["effect"], rel=1e-3)
    assert row_of(found, "CDS", "cut-rate", "none")["effect"] < 0.08
    pd.testing.assert_frame_equal(found, density_table(sums, num_draws=500))
    residual = density_table(sums, value_signal="residual", num_draws=20)
    assert set(residual["signal"]) == {"residual"}


def made_up_sums(num, values):
    return DensitySums(2, 100, num, values, np.zeros_like(num), ())


def test_rows_that_cannot_be_compared_say_why():
    num, values = np.zeros((2, 25, len(CLASSES), 16))
    intergenic, intron, cds = (CLASSES.index(name) for name in ("intergenic", "intron", "CDS"))
    num[:, intergenic, :8], num[:19, intron, 7:9], num[:, cds, 9] = 10, 10, 10
    values[:, intergenic, 7], values[:19, intron, 7] = 2, 5
    found = density_table(made_up_sums(num, values), num_draws=50).query("signal == 'raw' and matching == 'k=2'")
    found = found.set_index("class")
    assert found.loc["intergenic", "status"] == "reference" and found.loc["intergenic", "effect"] == 0
    few = found.loc["intron"]
    assert (few["status"], few["reason"]) == ("too few bins", "19 bins with values, expected at least 20")
    assert few["effect"] == pytest.approx(0.3) and np.isnan(few["lo"]) and few["matched_share"] == 0.5
    assert (found.loc["repeat", "status"], found.loc["repeat", "num_cuts"]) == ("no values", 0)
    alone = found.loc["CDS"]
    assert alone["status"] == "nothing to compare" and "none of its k-mers" in alone["reason"]
    assert np.isnan(alone["effect"]) and np.isnan(alone["hi"]) and alone["matched_share"] == 0
    with pytest.raises(ValueError, match="no base of class UTR5 has a value"):
        density_table(made_up_sums(num, values), reference="UTR5")
    with pytest.raises(ValueError, match=r"expected a reference out of CDS, .*, got 'exon'"):
        density_table(made_up_sums(num, values), reference="exon")


def test_intervals_of_few_bins_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(10)
    num_bins, num_sets, intergenic, cds = 20, 150, CLASSES.index("intergenic"), CLASSES.index("CDS")
    num_held = 0
    for _ in range(num_sets):
        num, values = np.zeros((2, num_bins, len(CLASSES), 16))
        level_of_bin = rng.normal(0.3, 0.05, num_bins)
        effect_in_bin = rng.normal(0.02, 0.05, num_bins)
        for code, mean in ((intergenic, level_of_bin), (cds, level_of_bin + effect_in_bin)):
            num[:, code, 0] = rng.integers(300, 900, num_bins)
            values[:, code, 0] = num[:, code, 0] * mean
        found = density_table(made_up_sums(num, values), value_signal="residual", num_draws=300)
        row = row_of(found, "CDS", "residual", "none")
        num_held += row["lo"] <= 0.02 <= row["hi"]
    # 142.5 expected, standard deviation 2.7
    assert 134 <= num_held <= 149


def test_an_annotation_of_other_contigs_is_refused_and_part_of_one_is_told(genome_of):
    track = ArrayTrack(chr1=np.full(60, 0.3, np.float32))
    here, beyond = transcript("+", [(5, 20)]), transcript("+", [(55, 61)])
    there = transcript("+", [(5, 20)], chrom="chrX")
    with genome_of(chr1="ACGT" * 15) as genome:
        sums = density_sums(track, genome, annotation(here, there, there, beyond))
        assert sums.notes[1] == "2 of 4 transcripts lie on contigs without a track"
        assert sums.notes[2] == "1 of 2 transcripts reach or lie beyond the end of their contig"
        with pytest.raises(
            ValueError, match="no transcript lies on the contigs of track and genome, chr1, but on chrX"
        ):
            density_sums(track, genome, annotation(there))
        with pytest.raises(ValueError, match=r"contigs differ in length: chr1 \(59 bp in the track, 60 bp"):
            density_sums(ArrayTrack(chr1=track.arrays["chr1"][:-1]), genome, annotation(here))
        with pytest.raises(ValueError, match="expected k of 2 or 4"):
            density_sums(track, genome, annotation(here), k=3)
