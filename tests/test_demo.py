import csv
import hashlib
import re
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.demo import AFTER, GENES_PER_CONTIG, PROMOTER, make_demo, write_demo

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def contigs(files):
    records = files.fasta.read_text().split(">")[1:]
    return {record.partition("\n")[0]: record.partition("\n")[2].replace("\n", "") for record in records}


@pytest.fixture(scope="module")
def sites(files):
    with files.sites.open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


@pytest.fixture(scope="module")
def gtf(files):
    """Rows of the GTF as (chrom, feature, start, end, strand, attributes), half-open and 0-based."""
    rows = []
    for line in files.gtf.read_text().splitlines():
        chrom, _, feature, start, end, _, strand, _, attributes = line.split("\t")
        tags = dict(re.findall(r'(\w+) "([^"]*)";', attributes))
        rows.append((chrom, feature, int(start) - 1, int(end), strand, tags))
    return rows


def read_at(contigs, site):
    """The letters of a site, from its cut alone: after the cut, or before it for an acceptor."""
    size, cut = len(site["sequence"]), int(site["cut"])
    after = site["class"] != "acceptor"
    if site["strand"] == "-":
        after = not after
    start = cut if after else cut - size
    letters = contigs[site["chrom"]][start : start + size].upper()
    return letters if site["strand"] == "+" else letters.translate(COMPLEMENT)[::-1]


def test_the_fasta_has_the_same_bytes_everywhere(files):
    digest = hashlib.sha256(files.fasta.read_bytes()).hexdigest()
    assert digest == "54a5f44183b97c62b229b31ab5560c4a0f92f65227d03e91dc169c49be79b0b7"


def test_fasta_layout(files, contigs):
    assert {len(line) for line in files.fasta.read_text().splitlines()[1:50]} == {60}
    assert list(contigs) == ["demo1", "demo2"]
    assert 55_000 < len(contigs["demo1"]) < 65_000
    assert 18_000 < len(contigs["demo2"]) < 23_000
    assert "N" not in contigs["demo1"]
    assert [len(run) for run in re.findall("N+", contigs["demo2"])] == [500]
    assert [len(run) for run in re.findall("[a-z]+", contigs["demo1"])] == [1200]
    assert set(contigs["demo2"]) == set("ACGTN")


def test_every_site_reads_back_at_its_cut_on_its_strand(contigs, sites):
    assert {(site["class"], site["strand"]) for site in sites} == {
        (kind, strand) for kind in [*PROMOTER, "TSS", "donor", "acceptor"] for strand in "+-"
    }
    for site in sites:
        assert read_at(contigs, site) == site["sequence"], site


def test_sites_keep_the_grammar_of_their_class(sites):
    grammar = {
        "TATA": "TATAAA",
        "CCAAT": "CCAAT",
        "GC-box": "GGGCGG",
        "TSS": "A",
        "donor": "GT[AG]{2}[GA][TA]",
        "acceptor": "[TC]{12}[ACGT][CT]AG",
    }
    for site in sites:
        assert re.fullmatch(grammar[site["class"]], site["sequence"]), site


def test_shares_and_places_of_promoter_elements(sites):
    tss = {site["locus"]: site for site in sites if site["class"] == "TSS"}
    assert len(tss) == sum(GENES_PER_CONTIG.values()) == 24
    assert Counter(site["strand"] for site in tss.values()) == {"+": 12, "-": 12}
    for kind, (motif, num_carriers, (low, high)) in PROMOTER.items():
        planted = [site for site in sites if site["class"] == kind]
        assert len({site["locus"] for site in planted}) == len(planted) == num_carriers
        along = 0
        for site in planted:
            gene = tss[site["locus"]]
            offset = int(site["cut"]) - int(gene["cut"])
            if gene["strand"] == "-":
                offset = -offset
            if site["strand"] == gene["strand"]:
                along += 1
            else:
                offset -= len(motif)  # a turned hit is anchored at its other end
            assert low <= offset <= high, site
        assert along == (num_carriers if kind == "TATA" else num_carriers / 2)


def test_gtf_bed12_and_sites_agree(files, gtf, sites):
    exons = defaultdict(list)
    for chrom, feature, start, end, strand, tags in gtf:
        if feature == "exon":
            exons[chrom, strand, tags["gene_id"], tags["transcript_id"]].append((start, end))
    expected = set()
    for (chrom, strand, gene, _), blocks in exons.items():
        assert blocks == sorted(blocks, reverse=strand == "-"), "exons are listed in the order of transcription"
        starts, ends = (0, 1) if strand == "+" else (1, 0)
        expected.add((chrom, blocks[0][starts], strand, "TSS", gene))
        expected |= {(chrom, block[ends], strand, "donor", gene) for block in blocks[:-1]}
        expected |= {(chrom, block[starts], strand, "acceptor", gene) for block in blocks[1:]}
    listed = [
        (site["chrom"], int(site["cut"]), site["strand"], site["class"], site["locus"])
        for site in sites
        if site["class"] in {"TSS", "donor", "acceptor"}
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == expected

    bed = {}
    for line in files.bed12.read_text().splitlines():
        chrom, start, end, name, _, strand, thick_start, thick_end, _, count, sizes, starts = line.split("\t")
        lengths, offsets = ([int(n) for n in text.rstrip(",").split(",")] for text in (sizes, starts))
        blocks = [(int(start) + o, int(start) + o + n) for o, n in zip(offsets, lengths, strict=True)]
        assert len(blocks) == int(count)
        assert thick_start == thick_end == start
        assert (blocks[0][0], blocks[-1][1]) == (int(start), int(end))
        bed[chrom, strand, name] = blocks
    assert bed == {(c, s, name): sorted(blocks) for (c, s, _, name), blocks in exons.items()}


def test_gtf_gene_and_transcript_span_their_exons(gtf):
    spans = defaultdict(dict)
    for chrom, feature, start, end, strand, tags in gtf:
        low, high = spans[tags["gene_id"]].get(feature, (chrom, strand, start, end))[2:]
        spans[tags["gene_id"]][feature] = (chrom, strand, min(low, start), max(high, end))
        assert ("transcript_id" in tags) == (feature != "gene")
        assert start < end
    assert len(spans) == 24
    for features in spans.values():
        assert features["gene"] == features["transcript"] == features["exon"]


def test_the_background_is_human_like(contigs):
    bases = "".join(contigs.values()).upper().replace("N", "")
    pairs = Counter(bases[i : i + 2] for i in range(len(bases) - 1))
    base = Counter(bases)
    gc = (base["C"] + base["G"]) / len(bases)
    cpg = pairs["CG"] * len(bases) / (base["C"] * base["G"])
    assert 0.39 < gc < 0.45
    assert cpg < 0.35  # 1 would be chance; human is about 0.25
    assert {sum(weights) for weights in AFTER.values()} == {100}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_any_seed_gives_sites_that_read_back(seed):
    demo = make_demo(seed)
    assert len(demo.genes) == 24
    for site in demo.sites:
        row = dict(zip(("chrom", "cut", "strand", "class", "locus", "sequence"), site, strict=True))
        assert read_at(demo.contigs, row) == site.sequence
    assert make_demo(seed) == demo
    assert make_demo(seed + 1).contigs != demo.contigs


def test_writing_twice_replaces_and_leaves_nothing_else(tmp_path):
    first = write_demo(tmp_path / "deep" / "demo", seed=1)
    second = write_demo(tmp_path / "deep" / "demo", seed=2)
    assert first == second
    assert sorted(path.name for path in first.fasta.parent.iterdir()) == [
        "demo.fa",
        "demo.genes.bed12",
        "demo.genes.gtf",
        "demo.sites.tsv",
    ]
    assert second.fasta.read_text().startswith(f">demo1\n{make_demo(2).contigs['demo1'][:60]}\n")


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"expected a folder for the demo files, got the file .*demo$"):
        write_demo(tmp_path / "demo")
    assert (tmp_path / "demo").read_text() == "mine"


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="expected a seed of 0 or more, got -1"):
        make_demo(-1)
