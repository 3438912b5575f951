"""Draws from shards read as a stream: nothing lost, nothing twice, and exact going on."""

import json
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.train import shards
from ldarnet.train.shards import HFDraws, ShardDraws
from tests.genome_files import gzip_bytes, twobit_bytes

WINDOW_BP = 6


def letters_of(num, seed):
    return vocab.decode(np.random.default_rng(seed).integers(0, 4, num).astype(np.uint8))


SEQUENCES = [letters_of(length, seed) for seed, length in enumerate([40, 5, 6, 61, 100, 17, 3, 33, 29, 80])]
WINDOWS = [each[i : i + 6] for each in SEQUENCES for i in range(0, len(each) - 5, 6)]


def jsonl(sequences):
    return "".join(json.dumps({"name": "x", "sequence": each}) + "\n" for each in sequences).encode()


@pytest.fixture
def paths(tmp_path):
    fasta = "".join(f">s{i}\n{each[:9]}\n{each[9:]}\n" for i, each in enumerate(SEQUENCES[:3])).encode()
    contents = {
        "a.fa": fasta.lower(),
        "b.fa.gz": gzip_bytes(b">only\n" + SEQUENCES[3].encode()),
        "c.jsonl": jsonl(SEQUENCES[4:7]).replace(b"\n", b"\n\n"),
        "d.jsonl.gz": gzip_bytes(jsonl(SEQUENCES[7:])),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def canonical(ids):
    """A window's letters, of the strand that comes first in the alphabet."""
    return min(vocab.decode(ids), vocab.decode(vocab.reverse_complement(ids)))


def count(windows):
    return Counter(canonical(vocab.encode(each) if isinstance(each, str) else each) for each in windows)


def test_every_epoch_holds_every_window_once(paths):
    draws = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=len(WINDOWS))
    epochs = [draws.take(len(WINDOWS)).ids for _ in range(3)]
    assert all(count(epoch) == count(WINDOWS) for epoch in epochs)
    orders = [[canonical(ids) for ids in epoch] for epoch in epochs]
    assert orders[0] != orders[1] != orders[2]
    as_read = [canonical(vocab.encode(each)) for each in WINDOWS]
    assert as_read not in orders


def test_blocks_of_one_window_keep_the_sequences_in_order_and_shuffle_the_files(paths):
    draws = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=1)
    first_of_file = {canonical(vocab.encode(SEQUENCES[i][:6])): i for i in (0, 3, 4, 7)}
    orders = set()
    for _ in range(6):
        epoch = [canonical(ids) for ids in draws.take(len(WINDOWS)).ids]
        orders.add(tuple(first_of_file[each] for each in epoch if each in first_of_file))
        second = canonical(vocab.encode(SEQUENCES[3][6:12]))
        assert epoch.index(second) == epoch.index(canonical(vocab.encode(SEQUENCES[3][:6]))) + 1
    assert len(orders) > 1
    assert all(sorted(order) == [0, 3, 4, 7] for order in orders)


def test_every_block_is_shuffled_in_its_own_way(tmp_path):
    sequence = letters_of(6 * 40, seed=20)
    (tmp_path / "a.fa").write_text(">a\n" + sequence)
    number_of = {canonical(vocab.encode(sequence[6 * i : 6 * i + 6])): i for i in range(40)}
    assert len(number_of) == 40
    ids = ShardDraws([tmp_path / "a.fa"], 6, seed=0, block_windows=10).take(40).ids
    numbers = np.array([number_of[canonical(each)] for each in ids]).reshape(4, 10)
    assert (np.sort(numbers) == np.arange(40).reshape(4, 10)).all()
    assert len({tuple(block % 10) for block in numbers}) == 4


def test_half_of_the_windows_are_turned(tmp_path):
    (tmp_path / "a.fa").write_text(">a\n" + "A" * 600)
    letters = ShardDraws([tmp_path / "a.fa"], 6, seed=0).take(2000).ids[:, 0]
    assert np.count_nonzero(letters == vocab.T) == pytest.approx(1000, abs=5 * 500**0.5)


@settings(max_examples=25)
@given(st.integers(1, 60), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=6))
def test_ranks_and_restarts_change_nothing(tmp_path_factory, block_windows, takes):
    """Takes of any size, by any number of ranks, each rank killed and restored after every take."""
    folder = tmp_path_factory.getbasetemp()
    paths = [folder / "one.jsonl", folder / "two.jsonl"]
    for path, sequences in zip(paths, (SEQUENCES[:5], SEQUENCES[5:]), strict=True):
        path.write_bytes(jsonl(sequences))
    reference = ShardDraws(paths, WINDOW_BP, seed=7, block_windows=block_windows)
    state = reference.state()
    for num, num_ranks in takes:
        expected = reference.take(num * num_ranks)
        for rank in reversed(range(num_ranks)):
            draws = ShardDraws(paths, WINDOW_BP, 7, rank, num_ranks, block_windows=block_windows)
            draws.restore(json.loads(json.dumps(state)))
            got = draws.take(num)
            mine = slice(rank * num, (rank + 1) * num)
            assert got.draws.tolist() == expected.draws[mine].tolist()
            assert (got.ids == expected.ids[mine]).all()
        state = draws.state()
        assert len(json.dumps(state)) < 400


def test_what_is_left_out_is_counted_once_across_restarts(paths):
    whole = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=5)
    pieces = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=5)
    for _ in range(30):
        whole.take(7)
        pieces.take(7)
        state = pieces.state()
        pieces = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=5)
        pieces.restore(state)
    whole.take(1)
    pieces.take(1)
    assert whole.read_up_to == pieces.read_up_to
    per_epoch = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=1)
    per_epoch.take(2 * len(WINDOWS) + 1)
    place = per_epoch.read_up_to
    left_over_bp = sum(len(each) % 6 for each in SEQUENCES if len(each) >= 6)
    assert place.epoch == 2
    assert place.num_short == 2 * 2
    assert place.left_over_bp - 2 * left_over_bp in {len(SEQUENCES[i]) % 6 for i in (0, 3, 4, 7)}
    assert place.num_unknown == 0


def test_going_on_reads_no_earlier_shard(paths, monkeypatch):
    draws = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=4)
    opened = []
    real = shards._read_file
    monkeypatch.setattr(shards, "_read_file", lambda path: opened.append(path.name) or real(path))
    draws.take(len(WINDOWS) - 1)
    order = list(opened)
    assert sorted(order) == [path.name for path in paths]
    again = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=4)
    again.restore(draws.state())
    opened.clear()
    again.take(1)
    assert order[-1] in opened
    assert order[0] not in opened


def test_windows_with_many_n_are_left_out_and_counted(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\nACGTACGTACGTACGTACGTANNNNNNNNNNNNNNNNNNNTTTTTTTTTTTTTTTTTTTNRTTTTTTTTTTTTTTTTTTTTT\n")
    draws = ShardDraws([path], 20, seed=0, block_windows=2)
    assert count(draws.take(2).ids) == count(["ACGTACGTACGTACGTACGT", "T" * 19 + "N"])
    assert draws.read_up_to.num_unknown == 1


def refuses(paths, match, window_bp=WINDOW_BP, **options):
    with pytest.raises(ValueError, match=match):
        ShardDraws(paths, window_bp, seed=0, **options).take(1)


def test_bad_files_are_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    good = jsonl(["ACGTACGT"])
    cases = [
        (good + b"{broken", r"x\.jsonl, line 2: expected a JSON object, got b'\{broken'"),
        (good + b"[1, 2]\n", r"line 2: expected letters under 'sequence', got \[1, 2\]"),
        (b'{"seq": "ACGT"}\n', r"line 1: expected letters under 'sequence', got \{'seq': 'ACGT'\}"),
        (b'{"sequence": ["ACGT"]}\n', "line 1: expected letters under 'sequence'"),
        (b'{"sequence": "ACGE"}\n', r"line 1: expected nucleotide letters \(ACGTUN or IUPAC\), got 'E' at position 3"),
        (b'{"sequence": "AC\xff"}\n', "line 1: expected a JSON object"),
        (b"[" * 100_000, r"x\.jsonl, line 1: expected a FASTA header starting with '>'"),
        (b'{"sequence": ' + b"[" * 100_000, "line 1: expected a JSON object"),
        (b"", "expected FASTA records, got an empty file"),
        (gzip_bytes(good)[:-9], "expected complete gzip data, got an early end"),
        (b">a\nACGTE\n", r"x\.jsonl, line 2, record 'a': expected nucleotide letters"),
        (twobit_bytes({"a": "ACGT"}), r"expected FASTA or JSON Lines, got \.2bit: name it as a genome"),
        (jsonl(["ACGTA", ""]), "with windows of 6 bases and at most 0 N, got none: the longest of them has 5 bases"),
        (jsonl(["NNNNNNNN"]), "got none: the longest of them has 8 bases, 1 windows have more N"),
    ]
    for content, match in cases:
        path.write_bytes(content)
        refuses([path], match)
    refuses([], "expected at least one shard, got none")
    refuses([path, path], "expected every shard once")
    refuses([tmp_path / "none.fa"], r"none\.fa: expected a genome file, there is no such file")
    refuses([path], "expected windows of 1 or more, got 0", window_bp=0)
    refuses([path], "expected blocks of 1 or more, got 0", block_windows=0)


def test_a_long_line_may_span_many_blocks(tmp_path):
    path = tmp_path / "x.jsonl"
    letters = letters_of(900_000, 1)
    path.write_bytes(jsonl(["ACG", letters, letters[:1000]]))
    ids = ShardDraws([path], 300_000, seed=0, block_windows=3).take(3).ids
    assert count(ids) == count([letters[i : i + 300_000] for i in (0, 300_000, 600_000)])


def test_changed_shards_are_refused(paths):
    draws = ShardDraws(paths, WINDOW_BP, seed=3, block_windows=4)
    draws.take(5)
    state = draws.state()
    for other in (ShardDraws(paths[:3], WINDOW_BP, 3, block_windows=4), ShardDraws(paths, WINDOW_BP, 3)):
        with pytest.raises(ValueError, match=r"expected the sequences of the saved run, [0-9a-f]{64}, got"):
            other.restore(state)
    # the same name and size, but fewer sequences than the state had read
    path = paths[0]
    path.write_bytes(b">s0\n".ljust(path.stat().st_size, b"A"))
    only = ShardDraws([path], 6, seed=0, block_windows=1)
    only.restore(only.state() | {"block_start": [0, 0, 2, 0, 0, 0, 0]})
    with pytest.raises(ValueError, match=r"a\.fa: expected more than 2 sequences, got 1: was it cut short\?"):
        only.take(1)


# Hugging Face data sets


@pytest.fixture
def rows():
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"dna": SEQUENCES, "other": list(range(len(SEQUENCES)))})
    return table.to_iterable_dataset(num_shards=4)


def test_dataset_every_epoch_holds_every_window_once(rows):
    draws = HFDraws(rows, WINDOW_BP, seed=3, column="dna", block_windows=1)
    epochs = [[canonical(ids) for ids in draws.take(len(WINDOWS)).ids] for _ in range(4)]
    assert all(Counter(epoch) == count(WINDOWS) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1, "the shards come in another order"


@pytest.mark.parametrize("block_windows", [1, 7, 100])
def test_dataset_ranks_and_restarts_change_nothing(rows, block_windows):
    reference = HFDraws(rows, WINDOW_BP, seed=5, column="dna", block_windows=block_windows)
    state = reference.state()
    for num, num_ranks in [(5, 1), (4, 2), (20, 3), (1, 1), (30, 2)]:
        expected = reference.take(num * num_ranks)
        for rank in reversed(range(num_ranks)):
            draws = HFDraws(rows, WINDOW_BP, 5, rank, num_ranks, column="dna", block_windows=block_windows)
            draws.restore(json.loads(json.dumps(state)))
            assert (draws.take(num).ids == expected.ids[rank * num : (rank + 1) * num]).all()
        state = draws.state()


def test_dataset_by_name(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "train.jsonl").write_bytes(jsonl(SEQUENCES))
    draws = HFDraws(str(tmp_path), WINDOW_BP, seed=3, block_windows=len(WINDOWS))
    assert count(draws.take(len(WINDOWS)).ids) == count(WINDOWS)


def test_dataset_refused(rows, monkeypatch):
    with pytest.raises(ValueError, match=r"row 0 of epoch 0: expected letters under 'sequence', got \{'dna': "):
        HFDraws(rows, WINDOW_BP, seed=3).take(1)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match="data set 'a/b' needs the package datasets: pip install datasets"):
        HFDraws("a/b", WINDOW_BP, seed=3)
