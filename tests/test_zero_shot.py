"""Zero-shot scores against slow and plain computations, and the counts beside them against those done by hand."""

import gzip
import json
import re
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ldarnet import variant_effects, vocab
from ldarnet.checkpoint import save_model
from ldarnet.cli import app
from ldarnet.essentiality import CODONS_BEFORE, CONTROL_INSERT, STOP_INSERT, knock_out
from ldarnet.genome import open_genome
from ldarnet.likelihood import hidden_log_probs, log_likelihoods
from ldarnet.orfs import AMINO_ACIDS, Orf, codons_of, find_orfs, translate
from ldarnet.variant_effects import score_variants
from ldarnet.variants import Variant, codon_changes, read_variants
from ldarnet.zero_shot import rank_correlation
from tests.sibling_models import tiny_model

STOPS = ("TAA", "TAG", "TGA")
GENE = "ATG" + "GCTAAACGT" * 40 + "TAA"
rng = np.random.default_rng(0)
FLANK = "".join(rng.choice(list("ACGT"), 90))
SEQUENCE = FLANK + GENE + "N" + FLANK[::-1] + vocab.decode(vocab.reverse_complement(vocab.encode(GENE))) + "CCCTT" * 8


@pytest.fixture(scope="module")
def causal():
    return tiny_model("dnahnet-small")


@pytest.fixture(scope="module")
def masked():
    return tiny_model("ldarnet-nano")


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{SEQUENCE}\n>c2\nACGTACGTAC\n")
    with open_genome(path) as opened:
        yield opened


def by_hand(model, text):
    """The sum of log p(base | bases before), one prefix at a time."""
    ids, total = vocab.encode(text), 0.0
    for t in range(1, len(ids)):
        if ids[t] != vocab.N:
            with torch.no_grad():
                logits = model(torch.from_numpy(ids[None, :t].copy())).logits[0, -1, :4]
            total += float(logits.double().log_softmax(-1)[ids[t]])
    return total


def test_log_likelihoods_prefix_by_prefix(causal):
    texts = ["ACGTTGCA", "A", "GGNACGT", "TTTTTTTTTTTTTTT"]
    found = log_likelihoods(causal, [vocab.encode(t) for t in texts], batch_tokens=16)
    assert [len(f) for f in found] == [len(t) for t in texts]
    assert [f.sum() for f in found] == pytest.approx([by_hand(causal, t) for t in texts], abs=1e-4)


def test_the_wrong_kind_of_model_is_refused(causal, masked, genome):
    ids = vocab.encode("ACGT")
    with pytest.raises(ValueError, match="to say how likely the next base is takes a causal model"):
        log_likelihoods(masked, [ids])
    with pytest.raises(
        ValueError, match="to score hidden letters takes a masked model, and this one predicts the next"
    ):
        hidden_log_probs(causal, [ids], [np.array([1])])
    with pytest.raises(ValueError, match="to score knock-outs takes a causal model"):
        knock_out(masked, genome, [])
    with pytest.raises(ValueError, match="reads bytes of text, not bases"):
        log_likelihoods(tiny_model("hnet-1stage-L"), [ids])


@pytest.mark.parametrize(("ref", "alt"), [("A", "C"), ("GC", "TT"), ("C", "CTTA"), ("AAAC", "A")])
@pytest.mark.parametrize("both_strands", [False, True])
def test_causal_scores(causal, genome, ref, alt, both_strands):
    start = SEQUENCE.index(ref, 120)
    (found,) = score_variants(causal, genome, [Variant("c1", start, ref, alt)], window_bp=30, both_strands=both_strands)
    low = start - (30 - len(ref)) // 2
    wild = SEQUENCE[low : low + 30]
    mutant = wild[: start - low] + alt + wild[start - low + len(ref) :]
    want = by_hand(causal, mutant) - by_hand(causal, wild)
    if both_strands:
        turned = [vocab.decode(vocab.reverse_complement(vocab.encode(t))) for t in (mutant, wild)]
        want = (want + by_hand(causal, turned[0]) - by_hand(causal, turned[1])) / 2
    assert found.score == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("both_strands", [False, True])
def test_masked_scores(masked, genome, both_strands):
    start = 130
    ref = SEQUENCE[start : start + 3]
    alt = "".join("ACGT"[("ACGT".index(letter) + 1) % 4] if i != 1 else letter for i, letter in enumerate(ref))
    (found,) = score_variants(masked, genome, [Variant("c1", start, ref, alt)], window_bp=41, both_strands=both_strands)
    low = start - (41 - 3) // 2

    def score(ids, places, refs, alts):
        covered = ids.copy()
        covered[places] = vocab.MASK
        with torch.no_grad():
            log_prob = masked(torch.from_numpy(covered[None])).logits[0, :, :4].double().log_softmax(-1)
        return sum(float(log_prob[p, a] - log_prob[p, r]) for p, r, a in zip(places, refs, alts, strict=True))

    ids, refs, alts = vocab.encode(SEQUENCE[low : low + 41]), vocab.encode(ref)[[0, 2]], vocab.encode(alt)[[0, 2]]
    places = np.array([start - low, start - low + 2])
    want = score(ids, places, refs, alts)
    if both_strands:
        reverse = score(vocab.reverse_complement(ids), 40 - places, vocab.COMPLEMENT[refs], vocab.COMPLEMENT[alts])
        want = (want + reverse) / 2
    assert found.score == pytest.approx(want, abs=1e-4)
    assert found.num_changes == 2
    with pytest.raises(ValueError, match="a masked model scores substitutions only"):
        score_variants(masked, genome, [Variant("c1", 130, ref, ref[0])])


class ContigsCounted:
    """A genome that counts how often its list of contigs is gone through."""

    def __init__(self, genome):
        self.genome, self.count = genome, 0

    @property
    def contigs(self):
        self.count += 1
        return self.genome.contigs

    def ids(self, *place):
        return self.genome.ids(*place)


def test_contigs_are_not_searched_for_every_variant_and_frame(causal, genome):
    counted = ContigsCounted(genome)
    score_variants(causal, counted, [Variant("c2", i, "ACGT"[i % 4], "ACGT"[(i + 1) % 4]) for i in range(8)])
    assert counted.count <= 2
    counted = ContigsCounted(genome)
    knock_out(causal, counted, find_orfs("c1", vocab.encode(SEQUENCE), 60)[:8])
    assert counted.count <= 2


def test_a_variant_and_back_cancel(causal, genome, tmp_path):
    start = 150
    ref, alt = SEQUENCE[start], "A" if SEQUENCE[start] != "A" else "C"
    (tmp_path / "m.fa").write_text(f">c1\n{SEQUENCE[:start]}{alt}{SEQUENCE[start + 1 :]}\n")
    (there,) = score_variants(causal, genome, [Variant("c1", start, ref, alt)])
    with open_genome(tmp_path / "m.fa") as mutated:
        (back,) = score_variants(causal, mutated, [Variant("c1", start, alt, ref)])
    assert there.score == pytest.approx(-back.score, abs=1e-4)
    assert abs(there.score) > 1e-3


def test_windows_at_the_ends_of_a_contig(causal, genome):
    first, last = score_variants(causal, genome, [Variant("c2", 0, "A", "C"), Variant("c2", 9, "C", "A")], window_bp=6)
    assert np.isfinite([first.score, last.score]).all()
    with pytest.raises(ValueError, match="window: expected more than the 10 bases of a variant, got 11"):
        score_variants(causal, genome, [Variant("c2", 0, "ACGTACGTAC", "A")], window_bp=11)


def test_the_genetic_code():
    ids = np.array([(a, b, c) for a in range(4) for b in range(4) for c in range(4)], dtype=np.uint8)
    assert codons_of(ids.ravel()).tolist() == list(range(64))
    table = {vocab.decode(codon): amino for codon, amino in zip(ids, AMINO_ACIDS, strict=True)}
    assert {codon for codon, amino in table.items() if amino == "*"} == set(STOPS)
    some = {"ATG": "M", "TGG": "W", "AAA": "K", "TTT": "F", "CGA": "R", "AGC": "S", "GAT": "D", "CAG": "Q", "ATA": "I"}
    assert {codon: table[codon] for codon in some} == some
    assert translate(codons_of(vocab.encode("ATGNAATTTA"))).tobytes() == b"MXF"


def plain_orfs(text, min_bp):
    found, start = [], None
    for frame in range(3):
        start = None
        for i in range(frame, len(text) - 2, 3):
            codon = text[i : i + 3]
            if "N" in codon:
                start = None
            elif codon in STOPS:
                if start is not None and i + 3 - start >= min_bp:
                    found.append((start, i + 3))
                start = None
            elif codon == "ATG" and start is None:
                start = i
    return found


@settings(deadline=None)
@given(text=st.lists(st.sampled_from(["A", "T", "G", "ATG", "TAA", "C", "N", "GCA"]), max_size=60).map("".join))
def test_open_reading_frames(text):
    ids = vocab.encode(text) if text else np.zeros(0, dtype=np.uint8)
    found = find_orfs("c", ids, min_bp=9)
    assert sorted(o[1:3] for o in found if o.strand == "+") == sorted(plain_orfs(text, 9))
    turned = vocab.decode(vocab.reverse_complement(ids)) if text else ""
    mirrored = sorted((len(text) - o.end, len(text) - o.start) for o in found if o.strand == "-")
    assert mirrored == sorted(plain_orfs(turned, 9))


@pytest.mark.parametrize("alphabet", ["ACGT", "N"])
def test_frames_of_a_long_contig_take_little_memory(alphabet):
    ids = vocab.encode("".join(np.random.default_rng(0).choice(list(alphabet), 600_000)))
    tracemalloc.start()
    try:
        find_orfs("c", ids)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(ids), "the other strand, and the codons of one frame"


def test_codon_counts(genome):
    orf = Orf("c1", 90, 90 + len(GENE), "+")
    silent = Variant("c1", 93 + 2, "T", "C")  # GCT, GCC: alanine
    missense = Variant("c1", 93, "G", "A")
    stop = Variant("c1", 96, "A", "T")
    shift = Variant("c1", 93, "GC", "G")
    assert codon_changes(genome, silent, orf) == (1, 0)
    assert codon_changes(genome, missense, orf) == (1, 1)
    assert codon_changes(genome, stop, orf) == (1, 1)
    assert codon_changes(genome, shift, orf).num_changed > 100
    reverse = find_orfs("c1", vocab.encode(SEQUENCE))[-1]
    assert reverse.strand == "-"
    last_base_of_its_first_alanine = reverse.end - 6
    assert codon_changes(genome, Variant("c1", last_base_of_its_first_alanine, "A", "G"), reverse) == (1, 0)


def test_inserts():
    assert len(STOP_INSERT) == len(CONTROL_INSERT) == 15
    assert sorted(STOP_INSERT) == sorted(CONTROL_INSERT)
    for frame in range(3):
        assert any(STOP_INSERT[i : i + 3] in STOPS for i in range(frame, 13, 3))
        assert not any(CONTROL_INSERT[i : i + 3] in STOPS for i in range(frame, 13, 3))


def test_knock_outs_on_both_strands(causal, genome):
    forward, reverse = (o for o in find_orfs("c1", vocab.encode(SEQUENCE)) if o.end - o.start == len(GENE))
    assert (forward.strand, reverse.strand) == ("+", "-")
    found = knock_out(causal, genome, [forward, reverse], window_bp=80)
    turned = vocab.decode(vocab.reverse_complement(vocab.encode(SEQUENCE)))
    site = 20 + 3 * CODONS_BEFORE
    for one, text, start in zip(found, (SEQUENCE, turned), (forward.start, len(SEQUENCE) - reverse.end), strict=True):
        wild = text[start - 20 : start + 60]
        assert wild[20:23] == "ATG"
        ids = [vocab.encode(wild[:site] + insert + wild[site:]) for insert in (STOP_INSERT, CONTROL_INSERT)]
        stopped, control = log_likelihoods(causal, ids)
        rest = np.r_[0:site, site + 15 : 95]
        assert one.drop == pytest.approx(by_hand(causal, wild) - stopped[rest].sum(), abs=1e-4)
        assert one.control_drop == pytest.approx(by_hand(causal, wild) - control[rest].sum(), abs=1e-4)
        assert one.insert_drop == pytest.approx((control - stopped)[site : site + 15].sum(), abs=1e-4)
        assert (one.num_changes, one.num_codons_lost) == (15, len(GENE) // 3 - CODONS_BEFORE)


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 31]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 2, 3], [1, 3, 3, 9]) == pytest.approx(1)
    assert np.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))


@pytest.fixture(scope="module")
def files(causal, masked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zero")
    save_model(causal, folder / "causal.safetensors")
    save_model(masked, folder / "masked.safetensors")
    (folder / "g.fa").write_text(f">c1\n{SEQUENCE}\n")
    rows = [f"c1\t{96}\t.\tT\tC,A", f"c1\t{94}\t.\tG\tA"]
    (folder / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n" + "\n".join(rows) + "\n")
    return folder


def command(*arguments):
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def test_the_command_of_variants(files):
    out = files / "v.tsv"
    done = command(
        *("variants", "--fasta", files / "g.fa", "--vcf", files / "v.vcf", "--out", out, "--orfs"),
        *("--model", files / "causal.safetensors"),
    )
    assert done.exit_code == 0, done.output
    header, *rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert header == ["chrom", "pos", "ref", "alt", "score", "num_changes", "num_codons", "num_amino_acids"]
    assert [row[:4] + row[5:] for row in rows] == [
        ["c1", "96", "T", "C", "1", "1", "0"],
        ["c1", "96", "T", "A", "1", "1", "0"],
        ["c1", "94", "G", "A", "1", "1", "1"],
    ]
    assert "rank correlation of score with num_amino_acids" in done.output
    done = command(
        *("variants", "--fasta", files / "g.fa", "--vcf", files / "v.vcf", "--out", files / "no.tsv"),
        *("--model", files / "causal.safetensors", "--method", "hidden-base"),
    )
    assert done.exit_code == 1
    assert "to score hidden letters takes a masked model, and this one predicts the next letter" in done.output
    assert json.loads((files / "v.tsv.json").read_text())["model"]["name"] == "causal"


def test_the_command_of_knock_outs(files):
    out = files / "k.tsv"
    arguments = ("--fasta", files / "g.fa", "--out", out, "--max-orfs", 1)
    done = command("knockouts", *arguments, "--model", files / "causal.safetensors")
    assert done.exit_code == 0, done.output
    assert "no labels, so no AUROC" in done.output
    assert len(out.read_text().splitlines()) == 2
    done = command("knockouts", *arguments, "--model", files / "masked.safetensors")
    assert done.exit_code == 1
    assert "to score knock-outs takes a causal model" in done.output


@pytest.mark.parametrize("kind", ["variants", "knockouts"])
def test_a_table_on_standard_output_leaves_no_file(files, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    arguments = ("--fasta", files / "g.fa", "--out", "-", "--model", files / "causal.safetensors")
    done = command(kind, *arguments, *(("--vcf", files / "v.vcf") if kind == "variants" else ()))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("chrom\t")
    assert not list(tmp_path.iterdir())


def test_inputs_are_not_overwritten(files, tmp_path):
    fasta, vcf, model = (shutil.copy(files / name, tmp_path / name) for name in ("g.fa", "v.vcf", "causal.safetensors"))
    as_sidecar = shutil.copy(fasta, tmp_path / "x.tsv.json")
    link = tmp_path / "link.tsv"
    link.symlink_to(vcf)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for kind, out, source in (
        ("variants", vcf, vcf),
        ("variants", link, vcf),
        ("variants", model, model),
        ("knockouts", fasta, fasta),
        ("knockouts", tmp_path / "x.tsv", as_sidecar),
    ):
        read = ("--fasta", as_sidecar if source == as_sidecar else fasta, "--model", model)
        done = command(kind, *read, "--out", out, *(("--vcf", vcf) if kind == "variants" else ()))
        assert done.exit_code == 1
        assert re.search(rf"error: {re.escape(str(source))} is --\w+ and would be overwritten", done.stderr)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c1\t96\t.\tG\tC", "line 1: REF is 'G', but g.fa holds 'T' there"),
        ("c9\t96\t.\tT\tC", "line 1: no contig 'c9' in g.fa; it has c1"),
        ("c1\t96000\t.\tT\tC", "line 1: position 96,000 lies outside c1"),
        ("c1\t96\t.\tT\t<DEL>", "line 1: expected 1 to 1,000 of A, C, G, T, got '<DEL>'"),
        ("c1 96 . T C", "line 1: expected CHROM, POS, ID, REF, ALT with tabs between"),
        ("#nothing", "no variants in it"),
    ],
)
def test_bad_variants(files, text, message):
    (files / "bad.vcf").write_text(text + "\n")
    done = command("variants", "--fasta", files / "g.fa", "--vcf", files / "bad.vcf", "--out", files / "no.tsv")
    assert done.exit_code == 1
    assert message in done.output
    assert not (files / "no.tsv").exists()


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_variants_beyond_a_block_are_scored_as_alone(name, genome, monkeypatch, request):
    model = request.getfixturevalue(name)
    variants = [Variant("c1", i, SEQUENCE[i], "ACGT"[("ACGT".index(SEQUENCE[i]) + 1) % 4]) for i in range(90, 95)]
    alone = [score_variants(model, genome, [each], window_bp=60)[0].score for each in variants]
    monkeypatch.setattr(variant_effects, "NUM_AT_ONCE", 2)
    together = [each.score for each in score_variants(model, genome, variants, window_bp=60)]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_fine_tuned_body_with_its_old_letter_head_is_told(files, masked, tmp_path):
    save_model(masked, tmp_path / "tuned.safetensors", {"fine-tuned on": "x.csv, classification, mode full, seed 0"})
    arguments = ("variants", "--fasta", files / "g.fa", "--vcf", files / "v.vcf", "--out", tmp_path / "v.tsv")
    done = command(*arguments, "--model", tmp_path / "tuned.safetensors")
    assert done.exit_code == 0, done.output
    assert "was fine-tuned without its letter head" in done.output


@pytest.mark.parametrize("change", [lambda data: data[:-9], lambda data: data[:20] + b"\xff" * 9 + data[29:]])
def test_damaged_variants_are_told(files, tmp_path, change):
    (tmp_path / "v.vcf.gz").write_bytes(change(gzip.compress((files / "v.vcf").read_bytes(), mtime=0)))
    with open_genome(files / "g.fa") as genome, pytest.raises(ValueError, match=r"v\.vcf\.gz: expected"):
        read_variants(tmp_path / "v.vcf.gz", genome)
