"""Heatmaps: the order and the clusters of the rows of a profile matrix, and the file it is kept in."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.cluster.vq import ClusterError, kmeans2

from ldarnet.tracks.atomic import whole_file

_NUM_STARTS = 10
_MEMBERS = {"matrix": ("<f4", 2), "offsets": ("<i8", 1), "site_ids": ("U", 1), "provenance": ("U", 0)}
_NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_DAMAGE = (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Clusters(NamedTuple):
    """`labels` (int64 [sites], -1 = too few values) and the mean profile of each (float64 [clusters, offsets]).

    Clusters are numbered from the one with the highest mean value down.
    """

    labels: np.ndarray
    profiles: np.ndarray


class SavedMatrix(NamedTuple):
    """A profile matrix with what its axes mean: float32 [rows, offsets], int64 [offsets], text [rows].

    `site_ids` are those of the rows: of sites, or of pairs where the rows are controls.
    """

    matrix: np.ndarray
    offsets: np.ndarray
    site_ids: np.ndarray
    provenance: dict[str, Any]


def order_by_mean(matrix: np.ndarray, offsets: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Rows (int64 [sites]) from the highest to the lowest mean over the offsets first..last of `window`.

    Rows without a value there come last; ties keep the order of the table.
    """
    first, last = window
    inside = (offsets >= first) & (offsets <= last)
    if not inside.any():
        raise ValueError(f"expected a window within the offsets {offsets[0]}..{offsets[-1]}, got {first}..{last}")
    return np.argsort(-_row_means(matrix[:, inside]), kind="stable")


def order_by_column(sites: pd.DataFrame, column: str, *, descending: bool = False) -> np.ndarray:
    """Rows (int64 [sites]) sorted by a column of their table; missing values come last, ties keep their order."""
    if column not in sites.columns:
        raise ValueError(f"expected a column of the sites to sort by, got {column!r}; there are {list(sites.columns)}")
    values = sites[column].reset_index(drop=True)
    return values.sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()


def order_by_cluster(labels: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Rows cluster by cluster, in each in the order `within`; rows without a cluster come last."""
    last = labels.max(initial=0) + 1
    return within[np.argsort(np.where(labels < 0, last, labels)[within], kind="stable")]


def cluster_rows(
    matrix: np.ndarray, num_clusters: int, *, seed: int = 0, min_valid_share: float = 0.5, max_iterations: int = 100
) -> Clusters:
    """K-means over the rows (scipy's `kmeans2`), the best of several starts drawn by k-means++.

    A missing value takes part as the mean of its offset; rows with less than `min_valid_share` of their values do
    not take part. Raises ValueError if fewer rows than clusters are left, or rows too alike for so many clusters.
    """
    is_valid = ~np.isnan(matrix)
    rows = np.flatnonzero(is_valid.mean(axis=1) >= min_valid_share)
    if not 1 <= num_clusters <= rows.size:
        enough = f"with at least {min_valid_share:.0%} of their values"
        raise ValueError(f"expected 1 to {rows.size:,} clusters of the {rows.size:,} rows {enough}, got {num_clusters}")
    points = matrix[rows][:, is_valid[rows].any(axis=0)].astype(np.float64)
    gaps = np.nonzero(np.isnan(points))
    points[gaps] = _row_means(points.T)[gaps[1]]

    found = _best_k_means(points, num_clusters, max_iterations, np.random.default_rng(seed))
    if found is None:
        raise ValueError(f"{rows.size:,} rows do not fall into {num_clusters} clusters: too many of them are alike")
    centres = np.array([points[found == cluster].mean() for cluster in range(num_clusters)])
    rank = np.empty(num_clusters, dtype=np.int64)
    rank[np.argsort(-centres, kind="stable")] = np.arange(num_clusters)
    labels = np.full(len(matrix), -1, dtype=np.int64)
    labels[rows] = rank[found]
    profiles = np.stack([_row_means(matrix[labels == cluster].T) for cluster in range(num_clusters)])
    return Clusters(labels, profiles)


def save_matrix(
    path: Path, matrix: np.ndarray, offsets: np.ndarray, site_ids: np.ndarray, provenance: Mapping[str, Any]
) -> None:
    """Write a profile matrix as compressed .npz: matrix, offsets, site_ids (site or pair ids), provenance (JSON).

    Values are kept as float32: half precision could carry a value across 0.5. Equal input gives equal bytes. Raises
    ValueError for parts that do not fit together, `ldarnet.tracks.TrackError` where nothing can be written.
    """
    saved = SavedMatrix(matrix, offsets, np.asarray(site_ids, dtype=np.str_), dict(provenance))
    _check_fit(saved)
    with whole_file(path) as file:
        text = json.dumps(saved.provenance, sort_keys=True, allow_nan=False)
        np.savez_compressed(
            file,
            matrix=matrix.astype("<f4"),
            offsets=offsets.astype("<i8"),
            site_ids=saved.site_ids,
            provenance=np.array(text),
        )


def load_matrix(path: Path) -> SavedMatrix:
    """The matrix that `save_matrix` wrote; nothing is unpickled.

    Raises ValueError, naming the file, for anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            matrix, offsets, site_ids, text = (_read_member(archive, name) for name in _MEMBERS)
        provenance = json.loads(str(text))
        if not isinstance(provenance, dict):
            raise ValueError(f"provenance is no JSON object but {type(provenance).__name__}")
        saved = SavedMatrix(matrix, offsets, site_ids, provenance)
        _check_fit(saved)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise ValueError(f"{path}: expected a profile matrix as .npz, got: {error}") from error
    return saved


def _row_means(matrix: np.ndarray) -> np.ndarray:
    """Mean of each row over its values, NaN for a row without any."""
    count = np.count_nonzero(~np.isnan(matrix), axis=1)
    total = np.nansum(matrix, axis=1, dtype=np.float64)
    return np.divide(total, count, out=np.full(len(matrix), np.nan), where=count > 0)


def _best_k_means(
    points: np.ndarray, num_clusters: int, max_iterations: int, rng: np.random.Generator
) -> np.ndarray | None:
    best, best_distance = None, np.inf
    for _ in range(_NUM_STARTS):
        start = _spread_start(points, num_clusters, rng)
        try:
            centres, labels = kmeans2(points, start, iter=max_iterations, minit="matrix", missing="raise")
        except ClusterError:
            continue
        distance = np.square(points - centres[labels]).sum()
        if distance < best_distance:
            best, best_distance = labels, distance
    return best


def _spread_start(points: np.ndarray, num_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Starting centres by k-means++ (Arthur and Vassilvitskii 2007); scipy's own differs between its versions."""
    chosen = [int(rng.integers(len(points)))]
    nearest = np.full(len(points), np.inf)
    for _ in range(num_clusters - 1):
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(axis=1))
        total = nearest.sum()
        chosen.append(int(rng.choice(len(points), p=nearest / total if total > 0 else None)))
    return points[chosen]


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    dtype, num_dimensions = _MEMBERS[name]
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in _NPY_HEADERS:
            raise ValueError(f"{name} is a numpy array of unknown version {version}")
        shape, _, got = _NPY_HEADERS[version](member)
        num_bytes = info.file_size - member.tell()
    if not (got == dtype or got.kind == dtype) or len(shape) != num_dimensions:
        raise ValueError(f"expected {name} as {dtype} with {num_dimensions} dimensions, got {got} {shape}")
    # a header may promise more than the file holds, and memory would be taken for all of it
    if num_bytes != np.prod(shape, dtype=object) * got.itemsize:
        raise ValueError(f"{name} holds {num_bytes:,} bytes, which do not fit {got} {shape}")
    with archive.open(info) as member:
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _check_fit(saved: SavedMatrix) -> None:
    matrix, offsets, site_ids, _ = saved
    if matrix.ndim != 2 or matrix.dtype != np.float32 or np.isinf(matrix).any():
        raise ValueError(
            f"expected a matrix of finite float32 or NaN [rows, offsets], got {matrix.dtype} {matrix.shape}"
        )
    if offsets.dtype != np.int64 or offsets.shape != matrix.shape[1:] or (np.diff(offsets) <= 0).any():
        raise ValueError(f"expected {matrix.shape[1]} increasing int64 offsets, got {offsets.dtype} {offsets.shape}")
    if site_ids.shape != matrix.shape[:1] or np.unique(site_ids).size != site_ids.size:
        got = f"{site_ids.size} ids, {np.unique(site_ids).size} of them different"
        raise ValueError(f"expected one id for each of {matrix.shape[0]} rows, got {got}")
