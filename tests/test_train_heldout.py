import importlib.util
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ldarnet import vocab
from ldarnet.checkpoint import random_model
from ldarnet.config import ModelConfig
from ldarnet.model.ldarnet import Output
from ldarnet.model.router import Routing
from ldarnet.own_format import save_model
from ldarnet.train.baselines import fit_tables
from ldarnet.train.bootstrap import paired_bootstrap
from ldarnet.train.corpus import GenomeSource, Stretch
from ldarnet.train.heldout import HeldOut, ValidPanel, evaluate, score_table, summarize_cuts
from ldarnet.train.losses import letter_loss, ratio_loss
from ldarnet.train.masking import mask_letters
from ldarnet.train.settings import TrainSettings
from tests.conftest import REPO
from tests.model_files import tiny_model

WINDOW_BP = 64
NESTED = ModelConfig(
    layout=("m1", ("m1", ("M1",), "m1"), "m1"),
    d_model=(32, 32, 64),
    d_intermediate=(0, 0, 64),
    num_heads=(2, 2, 2),
    rotary_dim=(16, 16, 16),
    attention_window=(15, 15, -1),
    d_state=8,
)


def random_ids(num, seed=0):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 4, num, dtype=np.uint8)


def stretch(ids, contig="a", start=0):
    return Stretch(contig, start, start + len(ids), ids)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def tables():
    return fit_tables([random_ids(4_000, seed=9)])


@pytest.fixture(scope="module")
def windows():
    """Seven windows, some N among their letters."""
    ids = random_ids(7 * WINDOW_BP)
    ids[[5, 70, 71, 200]] = vocab.N
    return HeldOut.tile([stretch(ids)], WINDOW_BP, seed=3)


class Says(torch.nn.Module):
    """Stands in for a model: logits, and probabilities of a cut, as functions of the ids."""

    def __init__(self, logits, prob):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.logits, self.prob = logits, prob

    def forward(self, ids):
        prob = F.pad(self.prob(ids)[:, 1:], (1, 0), value=1.0)
        return Output(self.logits(ids), None, None, (Routing(prob, prob > 0.5, None),), ())


def nowhere(ids):
    return torch.zeros(ids.shape)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(1, 8))
def test_windows_tile_the_stretches_in_order(lengths, window_bp):
    stretches = [stretch(random_ids(length, seed=i), f"contig{i}") for i, length in enumerate(lengths)]
    pieces = [
        (s.contig, s.ids[i : i + window_bp].tolist())
        for s in stretches
        for i in range(0, len(s.ids) - window_bp + 1, window_bp)
    ]
    if not pieces:
        with pytest.raises(ValueError, match=f"at least one of {window_bp} bases.*longest {max(lengths)} bases"):
            HeldOut.tile(stretches, window_bp)
        return
    windows = HeldOut.tile(stretches, window_bp)
    assert list(zip(windows.records, windows.ids.tolist(), strict=True)) == pieces
    assert windows.left_over_bp == sum(lengths) - len(pieces) * window_bp
    assert windows.num_unknown == 0


def test_windows_with_more_than_a_tenth_of_n_are_left_out_and_counted():
    ids = random_ids(100)
    ids[[0, 11, 12, 39]] = vocab.N  # one, two, none and one of ten
    windows = HeldOut.tile([stretch(ids)], 10)
    np.testing.assert_array_equal(windows.draws, [0, *range(2, 10)])
    assert windows.num_unknown == 1
    with pytest.raises(ValueError, match=r"10% N, got none \(1 stretches, longest 40 bases; 4 windows have more N"):
        HeldOut.tile([stretch(np.full(40, vocab.N, np.uint8))], 10)


@given(st.integers(1, 40), st.integers(1, 50))
def test_chosen_windows_are_evenly_apart_and_keep_their_masks(num_windows, num):
    every = HeldOut.tile([stretch(random_ids(num_windows * 32))], 32, seed=1)
    chosen = every.spread(num)
    assert len(chosen.ids) == min(num, num_windows)
    edges = np.concatenate([[0], chosen.draws + 0.5, [num_windows]])
    gaps = np.diff(edges)
    assert np.ptp(gaps[1:-1]) <= 1 if len(gaps) > 2 else True
    assert abs(gaps[0] - gaps[-1]) <= 1
    whole, part = every.shown("+"), chosen.shown("+")
    for all_rows, rows in zip(whole, part, strict=True):
        np.testing.assert_array_equal(rows, all_rows[chosen.draws])


def test_both_strands_are_shown_the_same_masks(windows):
    plus, minus = windows.shown("+"), windows.shown("-")
    masked = mask_letters(windows.ids, windows.draws, 3)
    np.testing.assert_array_equal(plus.inputs, masked.inputs)
    np.testing.assert_array_equal(plus.hidden, masked.hidden)
    assert 0 < plus.hidden.sum() < 0.2 * plus.hidden.size
    np.testing.assert_array_equal(minus.hidden, plus.hidden[:, ::-1])
    np.testing.assert_array_equal(minus.ids, vocab.reverse_complement(plus.ids))
    np.testing.assert_array_equal(vocab.reverse_complement(minus.inputs), plus.inputs)
    assert minus.inputs.dtype == plus.inputs.dtype == np.int64


@pytest.mark.parametrize(("strand", "batch_tokens"), [("+", 1), ("-", 5 * WINDOW_BP), ("+", 1 << 20)])
def test_scores_are_those_of_window_after_window(model, windows, tables, strand, batch_tokens):
    result = evaluate(model, windows, tables, batch_tokens=batch_tokens, strand=strand)
    shown = windows.shown(strand)
    for i in range(len(windows.ids)):
        with torch.no_grad():
            logits = model(torch.from_numpy(shown.inputs[i : i + 1])).logits[0]
        losses, num_correct, num_hidden = 0.0, 0, 0
        for position in np.flatnonzero(shown.hidden[i]):
            truth = int(shown.ids[i, position])
            losses += float(F.cross_entropy(logits[position], torch.tensor(truth)))
            num_correct += int(logits[position].argmax()) == truth
            num_hidden += 1
        assert result.num_hidden[i] == num_hidden
        assert result.model.loss[i] == pytest.approx(losses, rel=1e-5)
        assert result.model.num_correct[i] == num_correct
        for table in tables:
            positions = np.flatnonzero(shown.hidden[i])
            log_prob = table.log_prob(shown.ids[i], positions)
            expected = -log_prob[np.arange(len(positions)), shown.ids[i, positions]].sum()
            assert result.tables[table.name].loss[i] == pytest.approx(expected, rel=1e-12)


def test_means_are_over_masked_letters_not_over_windows(model, windows):
    result = evaluate(model, windows)
    shown = windows.shown("+")
    with torch.no_grad():
        logits = model(torch.from_numpy(shown.inputs)).logits
    labels = torch.from_numpy(np.where(shown.hidden, shown.ids.astype(np.int64), -100))
    assert result.mean_loss(result.model) == pytest.approx(float(letter_loss(logits, labels)), rel=1e-5)
    guesses = logits.argmax(-1).numpy()[shown.hidden]
    assert result.masked_accuracy(result.model) == pytest.approx(np.mean(guesses == shown.ids[shown.hidden]))


def test_one_who_knows_and_one_who_does_not(windows):
    truth = {tuple(row): ids for row, ids in zip(windows.shown("+").inputs.tolist(), windows.ids, strict=True)}

    def knows(inputs):
        ids = np.array([truth[tuple(row)] for row in inputs.tolist()], dtype=np.int64)
        return 100.0 * F.one_hot(torch.from_numpy(ids), vocab.VOCAB_SIZE)

    result = evaluate(Says(knows, nowhere), windows)
    assert (result.mean_loss(result.model), result.masked_accuracy(result.model)) == (0, 1)
    indifferent = evaluate(Says(lambda ids: torch.zeros(*ids.shape, vocab.VOCAB_SIZE), nowhere), windows)
    assert indifferent.mean_loss(indifferent.model) == pytest.approx(math.log(vocab.VOCAB_SIZE))
    assert indifferent.masked_accuracy(indifferent.model) == pytest.approx(1 / vocab.VOCAB_SIZE)


def test_tables_of_both_sides_score_alike_on_both_strands(windows, tables):
    for table in (tables[0], *tables[2:]):
        plus, minus = (score_table(table, windows, strand=strand) for strand in ("+", "-"))
        for ours, theirs in zip(plus, minus, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_nothing_to_guess_is_an_error(model):
    ids = np.full(50, vocab.N, np.uint8)
    unknown = HeldOut.tile([stretch(ids)], 10, max_unknown_share=1)
    with pytest.raises(ValueError, match="expected masked letters to guess, got none in 5 windows"):
        evaluate(model, unknown)


def test_cuts_are_counted_as_the_ratio_loss_counts_them():
    model = random_model(NESTED, seed=1)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    windows = HeldOut.tile([stretch(random_ids(6 * WINDOW_BP))], WINDOW_BP)
    with torch.no_grad():
        masked = model(torch.from_numpy(windows.shown("+").inputs)).routing
        whole = {"+": model.boundaries(torch.from_numpy(windows.ids)).routing}
        whole["-"] = model.boundaries(torch.from_numpy(vocab.reverse_complement(windows.ids))).routing
    summaries = [(evaluate(model, windows, batch_tokens=2 * WINDOW_BP).cuts, masked)]
    summaries += [(summarize_cuts(model, windows, batch_tokens=100, strand=s), r) for s, r in whole.items()]
    for summary, routing in summaries:
        assert len(summary.cut_share) == 2
        for stage, n in ((0, 4.0), (1, 2.5)):
            f, g = summary.cut_share[stage], summary.mean_prob[stage]
            by_hand = n / (n - 1) * ((n - 1) * f * g + (1 - f) * (1 - g))
            assert by_hand == pytest.approx(float(ratio_loss(routing[stage], n)), rel=1e-5)
            assert summary.bases_per_chunk == pytest.approx(windows.ids.size / float(routing[1].cut.sum()), rel=1e-9)
    assert summaries[1][0] != summaries[2][0]


def test_chunk_lengths_and_the_undecided():
    """Cuts by letter: at A surely, at C just above one half, at G just below, at T hardly."""
    ids = np.concatenate([vocab.encode(text) for text in ("GTTTACCTTT", "A" + "T" * 9, "T" * 10)])
    windows = HeldOut.tile([stretch(ids), stretch(vocab.encode("G" * 40), "b")], 10)
    prob = torch.tensor([0.9, 0.505, 0.495, 0.1, 0.0, 0.0, 0.0])
    model = Says(lambda ids: torch.zeros(*ids.shape, 7), lambda ids: prob[ids])
    model.boundaries = lambda ids: model(ids.long())
    summary = summarize_cuts(model, windows)
    lengths = {1: 2, 4: 2, 10: 6}
    assert summary.chunk_lengths == tuple(lengths.get(i + 1, 0) for i in range(32))
    assert summary.cut_share[0] == pytest.approx(10 / 70)
    assert summary.near_half_share[0] == pytest.approx((2 + 4 * 9) / 70)
    long = HeldOut.tile([stretch(vocab.encode("T" * 50)), stretch(vocab.encode("T" * 31 + "A" + "T" * 18))], 50)
    assert summarize_cuts(model, long).chunk_lengths[30:] == (1, 1)


def test_the_panel_is_fixed_and_agrees_with_an_evaluation(model, tables):
    stretches = [stretch(random_ids(30 * WINDOW_BP, seed=4)), stretch(random_ids(1_000, seed=5), "b")]
    panel, again = (ValidPanel(stretches, WINDOW_BP, tables, num_windows=8, seed=6) for _ in range(2))
    score = panel.score(model)
    assert score == panel.score(model) == again.score(model)
    assert len(panel.windows.ids) == 8
    result = evaluate(model, panel.windows, tables)
    assert score.loss == pytest.approx(result.mean_loss(result.model), rel=1e-6)
    assert score.accuracy == result.masked_accuracy(result.model)
    assert score.tables == pytest.approx({n: result.mean_loss(s) for n, s in result.tables.items()})
    assert {name: getattr(score, name) for name in vars(result.cuts)} == vars(result.cuts)
    assert sum(i * n for i, n in enumerate(score.chunk_lengths, 1)) <= 8 * WINDOW_BP
    assert json.loads(json.dumps(score.as_record()))["tables"] == score.tables


def test_a_panel_in_the_middle_of_training_changes_nothing():
    panel = ValidPanel([stretch(random_ids(4 * WINDOW_BP))], WINDOW_BP)
    gradients = []
    for watched in (False, True):
        model = tiny_model().train()
        model(torch.from_numpy(panel.windows.ids)).logits.square().sum().backward()
        if watched:
            assert panel.score(model).loss > 0
            assert model.training
        model(torch.from_numpy(panel.windows.ids)).logits.square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.equal(*gradients)


def sums(num, seed=0):
    rng = np.random.Generator(np.random.PCG64(seed))
    letters = rng.integers(40, 80, num)
    model, table = (letters * rng.normal(mean, 0.1, num) for mean in (1.2, 1.25))
    return model, table, letters


def test_bootstrap_draws_windows_with_their_letters():
    """Against one resample at a time, and against the interval that theory gives many windows."""
    model, table, letters = sums(300)
    result = paired_bootstrap(model, table, letters, seed=7)
    difference = model - table
    assert result.mean == pytest.approx(difference.sum() / letters.sum())
    rng = np.random.Generator(np.random.PCG64(11))
    means = []
    for _ in range(4_000):
        drawn = rng.choice(300, 300)
        means.append(difference[drawn].sum() / letters[drawn].sum())
    width = np.quantile(means, 0.975) - np.quantile(means, 0.025)
    assert result.high - result.low == pytest.approx(width, rel=0.06)
    residual = difference - result.mean * letters
    assert width == pytest.approx(2 * 1.96 * residual.std() * math.sqrt(300) / letters.sum(), rel=0.06)
    assert result.low < result.mean < result.high
    assert result.num_units == 300


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 30), st.integers(1, 5))
def test_windows_of_a_group_are_drawn_together(num_groups, num_copies):
    """Copies of a window within its group bring no new evidence; as windows of their own they would."""
    model, table, letters = sums(num_groups)
    copied = [np.repeat(each, num_copies) for each in (model, table, letters)]
    grouped = paired_bootstrap(*copied, groups=np.repeat(np.arange(num_groups), num_copies), num=200)
    alone = paired_bootstrap(model, table, letters, num=200)
    assert vars(grouped) == pytest.approx(vars(alone))


def test_bootstrap_of_equals_and_of_one():
    model, _, letters = sums(20)
    same = paired_bootstrap(model, model - 0.25 * letters, letters, num=100)
    assert (same.low, same.mean, same.high) == pytest.approx((0.25, 0.25, 0.25))
    assert paired_bootstrap(*sums(20), num=100) == paired_bootstrap(*sums(20), num=100)
    with pytest.raises(ValueError, match="at least two windows or groups, got 1"):
        paired_bootstrap(*sums(20), groups=np.zeros(20))


def write_species(folder, species, num_bp, seed):
    text = vocab.decode(random_ids(num_bp, seed=seed))
    cut = num_bp * 3 // 4
    (folder / f"{species}.fa").write_text(f">one\n{text}\n")
    (folder / f"{species}.bed").write_text(f"one\t0\t{cut}\ttrain\none\t{cut}\t{num_bp}\ttest\n")
    return f'[[genome]]\nname = "{species}-one"\nfasta = "{species}.fa"\nintervals = "{species}.bed"\nweight = 0.5\n'


def test_the_panel_of_a_run_reads_its_splits(tmp_path, model):
    write_species(tmp_path, "human", 20_000, 1)
    genome = GenomeSource(str(tmp_path / "human.fa"), intervals=str(tmp_path / "human.bed"))
    run = TrainSettings(genomes=(genome,), window_bp=256, num_valid_windows=5, valid_split="test")
    panel = ValidPanel.from_settings(run)
    ids = random_ids(20_000, seed=1)
    expected = ValidPanel([stretch(ids[15_000:])], 256, fit_tables([ids[:15_000]]), num_windows=5)
    np.testing.assert_array_equal(panel.windows.ids, expected.windows.ids)
    assert panel.score(model) == expected.score(model)
    assert ValidPanel.from_settings(replace(run, valid_split="valid")) is None
    assert ValidPanel.from_settings(replace(run, genomes=(GenomeSource(genome.fasta),))) is None


def test_the_benchmark_scores_each_species(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("heldout_benchmark", REPO / "benchmarks" / "heldout.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    records = "".join(f">r{i}\n{vocab.decode(random_ids(600, seed=i))}\n" for i in range(12))
    (tmp_path / "records.fa").write_text(records)
    (tmp_path / "records.bed").write_text("".join(f"r{i}\t0\t600\ttest\n" for i in range(12)))
    (tmp_path / "genomes.toml").write_text(
        write_species(tmp_path, "human", 20_000, 1)
        + '[[genome]]\nname = "records"\nspecies = "human"\nfasta = "records.fa"\nintervals = "records.bed"\n'
        + write_species(tmp_path, "worm", 16_000, 2)
    )
    save_model(tiny_model(), tmp_path / "tiny.safetensors")
    arguments = ["--genomes", str(tmp_path), "--model", str(tmp_path / "tiny.safetensors"), "--device", "cpu"]
    benchmark.main([*arguments, "--species", "human", "--max-windows", "30"])
    *table, last = capsys.readouterr().out.splitlines()
    rows = {row.pop("name"): row for row in json.loads(last)}
    assert {name.split(":")[0] for name in rows} == {"held-out human"}
    flank = rows["held-out human: against flank5"]
    assert flank["ratio"] == flank["ours"] / flank["baseline"]
    assert flank["baseline"] == pytest.approx(math.log(4), abs=0.02)
    difference = rows["held-out human: model - flank5"]["ours"]
    assert difference == pytest.approx(flank["ours"] - flank["baseline"])
    assert rows["held-out human: model - flank5, 2.5 %"]["ours"] < difference
    assert "held-out human: model - flank5, records by record" in rows
    assert all(set(row) == {"device", "dtype", "ours", "baseline", "ratio", "unit"} for row in rows.values())
    assert rows["held-out human: compression -"]["ours"] > 1
    assert sum("12 drawn" in line for line in table) == 1
    benchmark.main([*arguments, "--species", "worm", "--json"])
    (only,) = capsys.readouterr().out.splitlines()
    names = [row["name"] for row in json.loads(only)]
    assert {name.split(":")[0] for name in names} == {"held-out worm"}
    assert not any("by record" in name for name in names)
    with pytest.raises(SystemExit, match="no species has bases of both train and valid"):
        benchmark.main([*arguments, "--split", "valid"])


def test_chunks_of_a_rule_are_those_of_the_rule():
    """Every fourth base starts one, whatever probability the router gives it."""
    config = replace(tiny_model().config, cuts="fixed", cut_every=4, cut_prob="router")
    windows = HeldOut.tile([stretch(random_ids(10 * 40))], 40)
    summary = summarize_cuts(random_model(config), windows)
    assert summary.chunk_lengths == tuple(100 if i == 3 else 0 for i in range(32))
    assert summary.cut_share[0] == pytest.approx(0.25)
