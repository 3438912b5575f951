"""A small trained model's track on real sequence: what the published code says there, at the right place."""

import numpy as np
import pyBigWig
import pytest

from ldarnet import boundary_track, load_model, vocab
from ldarnet.genome import open_genome

SEED = "checkpoints/seed-nano.pt"
HUMAN = "data/human/grch38.chr20_and_21_10M.fa.gz"
START, END = 8_200_000, 8_300_000


@pytest.fixture(scope="module")
def human(shared_data, tmp_path_factory):
    """(ids, track values) of 100 kb of chromosome 20, written and read as bigWig."""
    folder = tmp_path_factory.mktemp("human")
    with open_genome(shared_data / HUMAN) as genome:
        ids = genome.ids("chr20", START, END)
    fasta, out = folder / "part.fa", folder / "part.bw"
    fasta.write_text(f">part\n{vocab.decode(ids)}\n")
    boundary_track(fasta, model=load_model(shared_data / SEED), window_bp=512).write(out)
    with pyBigWig.open(str(out)) as track:
        return ids, track.values("part", 0, END - START, numpy=True)


def test_one_window_is_what_the_published_code_computes(shared_data, tmp_path):
    """2,048 bases run as one window, against tensors of the published code (float16 attention: see test_golden)."""
    with np.load(shared_data / "golden" / "seed_nano_chr20_8200000_2048.npz") as file:
        ids, prob, cut = file["input_ids"][0], file["boundary_prob_0"][0], file["boundary_mask_0"][0]
    fasta = tmp_path / "window.fa"
    fasta.write_text(f">window\n{vocab.decode(ids.astype(np.uint8))}\n")
    track = boundary_track(fasta, model=load_model(shared_data / SEED), window_bp=2048)
    values = track.values("window", 0, 2048)
    assert np.isnan(values[0])
    assert np.abs(values[1:] - prob[1:]).max() < 5e-4
    np.testing.assert_array_equal(values[1:] > 0.5, cut[1:])


# Mean p at offsets from a motif's first base, measured on all of the held-out part of chromosome 20 with the published
# code: CCAAT .57 at +4; TATAAA .67 .64 .69 at +1..+3, then .03 .01; all other human sequence about .26.
@pytest.mark.parametrize(
    ("motif", "expected"),
    [("CCAAT", {2: 0.08, 4: 0.57}), ("TATAAA", {1: 0.67, 2: 0.64, 3: 0.69, 4: 0.03, 5: 0.01})],
)
def test_motifs_stand_where_they_should(human, motif, expected):
    ids, values = human
    hits = np.ones(len(ids) - len(motif) - 8, dtype=bool)
    for i, base in enumerate(vocab.encode(motif)):
        hits &= ids[i : i + len(hits)] == base
    starts = np.flatnonzero(hits)[1:]
    assert len(starts) > 50
    means = {offset: float(np.nanmean(values[starts + offset])) for offset in range(8)}
    print(f"  {motif}, {len(starts)} hits:", {offset: round(mean, 2) for offset, mean in means.items()})
    for offset, mean in expected.items():
        assert abs(means[offset] - mean) < 0.12, f"{motif} at +{offset}: mean p {means[offset]:.2f}"
    assert abs(float(np.nanmean(values)) - 0.26) < 0.03
