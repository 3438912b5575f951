"""How far the shipped model's track is from reading the whole sequence at once, as stated in the README.

On the demo genome, so that it runs everywhere; docs/windows.md has human and yeast (benchmarks/halo.py).
"""

import numpy as np
import pytest

from ldarnet.boundaries import BatchRunner, TrackSettings, default_settings
from ldarnet.checkpoint import load_model
from ldarnet.demo import write_demo
from ldarnet.genome import open_genome, plan_batches

LENGTH_BP = 12_288


class Stretch:
    """The first bases of a contig, as a genome of its own."""

    def __init__(self, genome):
        contig = genome.contigs[0]
        self.contigs = (contig._replace(length_bp=LENGTH_BP),)
        self._bases = genome.ids(contig.name, 0, LENGTH_BP)

    def ids(self, chrom, start, end):
        return self._bases[start:end]


@pytest.fixture(scope="module")
def difference(tmp_path_factory):
    """(window, halo) -> |p in windows - p at once| per base, and whether the hard cuts differ."""
    model = load_model("default")
    with open_genome(write_demo(tmp_path_factory.mktemp("demo")).fasta) as genome:
        stretch = Stretch(genome)

    def track(window_bp, halo_bp):
        settings = TrackSettings(window_bp=window_bp, halo_bp=halo_bp, decimals=0)
        runner = BatchRunner(model, stretch, settings)
        batches = plan_batches(stretch.contigs, window_bp, halo_bp, 4096)
        return np.concatenate([s.values[0] for batch in batches for s in runner.run(batch)])[1:]

    whole = track(LENGTH_BP, 1)

    def compare(window_bp, halo_bp):
        values = track(window_bp, halo_bp)
        return np.abs(values - whole), (values > 0.5) != (whole > 0.5)

    return compare


def test_table_of_halos(difference):
    means = []
    for halo_bp in (16, 64, 128):
        p, cuts = difference(512, halo_bp)
        print(f"  window 512, halo {halo_bp}: largest {p.max():.3f}, mean {p.mean():.4f}, cuts {cuts.mean():.2%}")
        means.append(p.mean())
        assert p.max() < 0.6
        assert p.mean() < 0.03
        assert cuts.mean() < 0.06
    assert means == sorted(means, reverse=True), "a longer halo should bring windows nearer to the whole"


def test_a_halo_of_the_attentions_reach_is_nearly_exact(difference):
    p, cuts = difference(4096, 1024)
    print(f"  window 4096, halo 1024: largest {p.max():.4f}, mean {p.mean():.5f}, cuts {cuts.mean():.3%}")
    assert p.max() < 0.03
    assert p.mean() < 2e-4
    assert cuts.mean() < 1e-3


def test_defaults_are_those_of_the_table():
    assert default_settings(load_model("default")) == (512, 128)
