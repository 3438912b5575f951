"""Shuffles that keep every k-let count and reach every arrangement with the same probability.

A sequence is a walk over its (k-1)-mers, each k-let one step of it; the arrangements with the same k-lets are the
Eulerian walks over the same steps. Such a walk is drawn by giving every (k-1)-mer its last exit, which together form a
tree towards the end of the walk, and putting its other exits in any order (Altschul and Erickson 1985). All walks are
equally likely when the tree is, and Wilson's algorithm (1996) draws trees so (Kandel, Matias, Unger and Winkler 1996).
The first and last k-1 letters stay. N keep their places: every stretch between them is shuffled on its own.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import factorial, prod

import numpy as np

from ldarnet import vocab

NUM_UNIFORMS = 256


def shuffle_klets(ids: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """The same letters (uint8 [length]) in an order drawn uniformly from all with the same k-let counts.

    k = 1 keeps letter counts, 2 dinucleotides, 3 trinucleotides. Raises ValueError for k below 1 and for ids
    that are no bases.
    """
    shuffled = _checked(ids, k).copy()
    for start, end in _stretches(shuffled):
        stretch = shuffled[start:end]
        shuffled[start:end] = rng.permutation(stretch) if k == 1 else _shuffle_walk(stretch, k, rng)
    return shuffled


def num_arrangements(ids: np.ndarray, k: int) -> int:
    """How many different sequences the shuffle can give; 1 means that this sequence cannot move."""
    stretches = [ids[start:end] for start, end in _stretches(_checked(ids, k))]
    return prod(_num_permutations(each) if k == 1 else _num_walks(each, k) for each in stretches)


def moved_share(before: np.ndarray, after: np.ndarray) -> float:
    """Share of positions with another letter than before; NaN for an empty sequence."""
    if before.shape != after.shape:
        raise ValueError(f"expected two sequences of one length, got {before.shape} and {after.shape}")
    return float(np.mean(before != after)) if before.size else float("nan")


def _checked(ids: np.ndarray, k: int) -> np.ndarray:
    if k < 1:
        raise ValueError(f"expected k of 1 or more, got {k}")
    if ids.ndim != 1 or ids.dtype != np.uint8:
        raise ValueError(f"expected ids as uint8 [length], got {ids.dtype} {list(ids.shape)}")
    if ids.size and int(ids.max()) > vocab.N:
        raise ValueError(f"expected ids 0..{vocab.N}, got {int(ids.max())}, which stands for no base")
    return ids


def _stretches(ids: np.ndarray) -> list[list[int]]:
    """The half-open runs without N."""
    edges = np.flatnonzero(np.diff(ids != vocab.N, prepend=False, append=False))
    stretches: list[list[int]] = edges.reshape(-1, 2).tolist()
    return stretches


def _vertices(ids: np.ndarray, k: int) -> np.ndarray:
    """The (k-1)-mer that starts at each base, as a number; its last letter is the number modulo 4."""
    num_vertices = len(ids) - k + 2
    codes = np.zeros(num_vertices, dtype=np.int64)
    for i in range(k - 1):
        codes = codes * 4 + ids[i : i + num_vertices]
    return codes


def _shuffle_walk(ids: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    if len(ids) <= k:
        return ids
    walk = _vertices(ids, k)
    exits = _exits(walk)
    root = int(walk[-1])
    successors: dict[int, Iterator[int]] = {}
    last_exits = _draw_tree(exits, root, rng)
    for vertex, targets in exits.items():
        last: list[int] = []
        if vertex != root:
            last = [last_exits[vertex]]
            targets = np.delete(targets, np.argmax(targets == last[0]))
        successors[vertex] = iter(rng.permutation(targets).tolist() + last)
    vertex = int(walk[0])
    path = [vertex := next(successors[vertex]) for _ in range(len(walk) - 1)]
    return np.concatenate([ids[: k - 1], np.array(path) % 4]).astype(np.uint8)


def _exits(walk: np.ndarray) -> dict[int, np.ndarray]:
    """Where the walk goes from each vertex, once per step."""
    order = np.argsort(walk[:-1], kind="stable")
    vertices, firsts = np.unique(walk[:-1][order], return_index=True)
    return dict(zip(vertices.tolist(), np.split(walk[1:][order], firsts[1:]), strict=True))


def _draw_tree(exits: dict[int, np.ndarray], root: int, rng: np.random.Generator) -> dict[int, int]:
    """The next vertex towards the root from every other vertex, in a uniformly drawn spanning tree (Wilson)."""
    uniforms = _uniforms(rng)
    # A step that stays is in no tree; leaving it out of the walk spares the long waits of runs of one letter.
    onward = {vertex: targets[targets != vertex].tolist() for vertex, targets in exits.items()}
    next_of: dict[int, int] = {}
    in_tree = {root}
    for start in exits:
        vertex = start
        while vertex not in in_tree:
            choices = onward[vertex]
            # Overwriting the exit of a vertex met again is what erases the loop.
            next_of[vertex] = choices[int(next(uniforms) * len(choices))]
            vertex = next_of[vertex]
        vertex = start
        while vertex not in in_tree:
            in_tree.add(vertex)
            vertex = next_of[vertex]
    return next_of


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(NUM_UNIFORMS).tolist()


def _num_permutations(ids: np.ndarray) -> int:
    return factorial(len(ids)) // prod(factorial(count) for count in np.bincount(ids).tolist())


def _num_walks(ids: np.ndarray, k: int) -> int:
    """Eulerian walks from the first to the last (k-1)-mer (BEST theorem), those that read the same counted once."""
    if len(ids) <= k:
        return 1
    walk = _vertices(ids, k).tolist()
    root = walk[-1]
    steps = Counter(pairwise(walk))
    num_exits = Counter(walk[:-1])
    others = [vertex for vertex in num_exits if vertex != root]
    laplacian = [[(num_exits[row] if row == column else 0) - steps[row, column] for column in others] for row in others]
    orders = factorial(num_exits[root]) * prod(factorial(num_exits[vertex] - 1) for vertex in others)
    return _determinant(laplacian) * orders // prod(factorial(count) for count in steps.values())


def _determinant(matrix: list[list[int]]) -> int:
    """Exact determinant of a matrix whose leading minors are positive (Bareiss), as those of a Laplacian are."""
    previous = 1
    for i in range(len(matrix) - 1):
        pivot = matrix[i][i]
        for row in matrix[i + 1 :]:
            row[i + 1 :] = [(row[j] * pivot - row[i] * matrix[i][j]) // previous for j in range(i + 1, len(matrix))]
        previous = pivot
    return matrix[-1][-1] if matrix else 1
