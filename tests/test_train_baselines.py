from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet.train import baselines
from ldarnet.train.baselines import Composition, Flanks, Markov, Reach, count_words, fit_tables

SEQUENCES = st.lists(st.text("ACGTN", max_size=40).map(vocab.encode), min_size=1, max_size=4)
REACHES = st.builds(Reach, st.integers(0, 2), st.integers(0, 2))


def words_by_hand(sequences, length):
    """Every word without N, once as it stands and once as it reads on the other strand."""
    words = []
    for ids in sequences:
        for text in (vocab.decode(ids), vocab.decode(vocab.reverse_complement(ids))):
            words += [text[i : i + length] for i in range(len(text) - length + 1)]
    return [word for word in words if "N" not in word]


def prob_by_hand(words, reach, levels, shrinkage, text, position):
    """Back-off as it is written down, one context at a time."""
    prob = dict.fromkeys("ACGT", 0.25)
    for (left, right), strength in zip(levels, shrinkage, strict=True):
        before, after = text[max(0, position - left) : position], text[position + 1 : position + 1 + right]
        if len(before) < left or len(after) < right or "N" in before + after:
            break
        seen = Counter(
            word[reach.left]
            for word in words
            if word[reach.left - left : reach.left] == before and word[reach.left + 1 :][:right] == after
        )
        prob = {x: (seen[x] + strength * prob[x]) / (seen.total() + strength) for x in "ACGT"}
    return list(prob.values())


def random_ids(num, seed=0, p=(0.3, 0.2, 0.2, 0.3)):
    return np.random.Generator(np.random.PCG64(seed)).choice(4, num, p=p).astype(np.uint8)


def loss(table, ids):
    positions = np.arange(len(ids))
    return -table.log_prob(ids, positions)[positions, ids].mean()


@given(SEQUENCES, REACHES, st.sampled_from([1, 7, 1 << 22]))
def test_words_are_counted_on_both_strands_whatever_the_blocks(sequences, reach, block_bp):
    length = reach.left + 1 + reach.right
    expected = Counter(words_by_hand(sequences, length))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "BLOCK_BP", block_bp)
        if not expected:
            with pytest.raises(ValueError, match=f"at least one stretch of {length} known letters"):
                count_words(sequences, reach)
            return
        counts = count_words(sequences, reach)
    total = counts.counted + counts.held_back
    letters = (np.array(list(word)) for word in expected)
    for word, codes in zip(expected, ([vocab.LETTERS.index(x) for x in w] for w in letters), strict=True):
        assert total[tuple(codes)] == expected[word]
    assert total.sum() == sum(expected.values())


def test_a_tenth_is_held_back():
    counts = count_words([random_ids(10_000)], Reach(1, 1))
    assert counts.held_back.sum() == 2 * 999  # of 9,998 words, on both strands
    assert counts.counted.sum() == 2 * (9_998 - 999)


@settings(deadline=None, max_examples=40)
@given(SEQUENCES, st.text("ACGTN", min_size=1, max_size=12), st.sampled_from(["composition", "markov", "flanks"]))
def test_probabilities_are_those_of_the_formula(sequences, text, kind):
    reach, shrinkage = Reach(2, 2), (0.5, 3.0, 7.0)
    words = words_by_hand(sequences, 5)
    if not words:
        return
    counts = count_words(sequences, reach)
    ids = vocab.encode(text)
    if kind == "composition":
        table = Composition.fit(counts)
        levels, shrinkage = [(0, 0)], table.shrinkage
    elif kind == "markov":
        table, levels = Markov.fit(counts, 2, shrinkage), [(0, 0), (1, 0), (2, 0)]
    else:
        table, levels = Flanks.fit(counts, 2, shrinkage), [(0, 0), (1, 1), (2, 2)]
    expected = [prob_by_hand(words, reach, levels, shrinkage, text, i) for i in range(len(text))]
    np.testing.assert_allclose(np.exp(table.log_prob(ids, np.arange(len(ids)))), expected, rtol=1e-9)


def test_tables_count_for_themselves_as_from_shared_words():
    sequences = [random_ids(3_000), random_ids(2_000, seed=1)]
    for table, reach in ((Markov.fit(sequences, 3), Reach(3, 0)), (Flanks.fit(sequences, 2), Reach(2, 2))):
        shared = count_words(sequences, reach)
        again = type(table).fit(shared, max(reach))
        assert (again.name, again.shrinkage) == (table.name, table.shrinkage)
        for ours, theirs in zip(table.log_probs, again.log_probs, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def tables():
    return fit_tables([random_ids(20_000)])


def test_names(tables):
    assert [table.name for table in tables] == ["composition", "markov5", "flank3", "flank5"]


def test_the_letter_itself_is_not_looked_at(tables):
    ids = random_ids(50, seed=2)
    for table in tables:
        for position in (0, 3, 25, 49):
            expected = table.log_prob(ids, np.array([position]))
            for other in range(vocab.VOCAB_SIZE):
                changed = ids.copy()
                changed[position] = other
                np.testing.assert_array_equal(table.log_prob(changed, np.array([position])), expected)


def test_flanks_say_the_same_on_the_other_strand(tables):
    ids = random_ids(200, seed=3)
    ids[[40, 41, 90]] = vocab.N
    positions = np.arange(len(ids))
    turned = vocab.reverse_complement(ids)
    for table in (tables[0], *tables[2:]):
        expected = table.log_prob(ids, positions)
        np.testing.assert_array_equal(table.log_prob(turned, len(ids) - 1 - positions)[:, ::-1], expected)


def test_letters_without_order_teach_a_deep_table_nothing_false(tables):
    """Of 20,000 bases most 11-letter words are never seen; shrinkage must keep the table at the composition."""
    ids = random_ids(20_000, seed=4)
    entropy = -np.array([0.3, 0.2]) @ np.log([0.3, 0.2]) * 2
    assert loss(tables[0], ids) == pytest.approx(entropy, abs=0.01)
    for table in tables[1:]:
        assert loss(table, ids) < loss(tables[0], ids) + 0.003
    overfitted = Flanks.fit([random_ids(20_000)], 5, [0.1] * 6)
    assert loss(overfitted, ids) > loss(tables[0], ids) + 0.3


def test_what_neighbours_determine_is_learned():
    """Nine times in ten a base pairs with the one three before it: order 3 knows it, order 2 cannot."""
    ids = random_ids(30_000, p=(0.25,) * 4)
    follows = np.random.Generator(np.random.PCG64(5)).random(len(ids)) < 0.9
    for i in range(3, len(ids)):
        if follows[i]:
            ids[i] = 3 - ids[i - 3]
    entropy = -(0.925 * np.log(0.925) + 3 * 0.025 * np.log(0.025))
    assert loss(Markov.fit([ids], 3), ids) == pytest.approx(entropy, abs=0.02)
    assert loss(Markov.fit([ids], 2), ids) == pytest.approx(np.log(4), abs=0.01)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="at least one stretch of 11 known letters"):
        fit_tables([np.full(1_000, vocab.N, np.uint8), random_ids(10)])
    with pytest.raises(ValueError, match=r"words of 1 to 13 letters, got 7 \+ 1 \+ 7"):
        Flanks.fit([random_ids(100)], 7)
    with pytest.raises(ValueError, match="expected 3 positive numbers"):
        Flanks.fit([random_ids(100)], 2, [1.0, 2.0])
    with pytest.raises(ValueError, match="expected 2 positive numbers"):
        Markov.fit([random_ids(100)], 1, [1.0, 0.0])


def test_human_sequence_has_the_known_losses(shared_data):
    """Others found about 1.36, 1.32, 1.27 and 1.19 to 1.23 nats on human sequence."""
    with open_genome(shared_data / "data/human/grch38.chr20_and_21_10M.fa.gz") as genome:
        chrom = genome.contigs[0].name
        train, test = genome.ids(chrom, 1_000_000, 5_000_000), genome.ids(chrom, 6_000_000, 6_200_000)
    losses = [loss(table, test) for table in fit_tables([train])]
    assert losses == pytest.approx([1.37, 1.32, 1.26, 1.20], abs=0.02)
