"""Differences at sites that come in loci, for tests of statistics."""

import numpy as np


def clustered(rng, num_loci, num_offsets=None, largest=9, missing=0.0):
    """Differences that are alike within loci of 1 to `largest` sites, and the loci in no order."""
    sizes = rng.integers(1, largest + 1, num_loci)
    loci = np.repeat([f"locus{i}" for i in range(num_loci)], sizes)
    shape = (num_loci, 1 if num_offsets is None else num_offsets)
    values = np.repeat(rng.normal(size=shape), sizes, axis=0) + rng.normal(size=(len(loci), shape[1]))
    values[rng.random(values.shape) < missing] = np.nan
    order = rng.permutation(len(loci))
    values, loci = values[order], loci[order]
    return (values[:, 0] if num_offsets is None else values), loci
