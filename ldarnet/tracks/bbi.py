"""Building blocks of a bigWig file: its headers, and the trees that index contig names and data blocks.

Layout after Kent et al. 2010 (doi:10.1093/bioinformatics/btq351), version 4, little-endian throughout.
"""

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ldarnet.genome.intervals import Contig

MAGIC = struct.pack("<I", 0x888FFC26)
HEADER = struct.Struct("<IHHQQQHHQQIQ")
ZOOM_HEADER = struct.Struct("<IIQQ")
SUMMARY = struct.Struct("<Qdddd")
SECTION_HEADER = struct.Struct("<IIIIIBBH")

_NODE_HEADER = struct.Struct("<BBH")
_CONTIG_TREE_HEADER = struct.Struct("<IIIIQQ")
_BLOCK_TREE_HEADER = struct.Struct("<IIQIIIIQII")
_ITEMS_PER_NODE = 256

_SPAN = [("first_id", "<u4"), ("start", "<u4"), ("last_id", "<u4"), ("end", "<u4")]
_BLOCK = np.dtype([*_SPAN, ("offset", "<u8"), ("num_bytes", "<u8")])
_BLOCK_PARENT = np.dtype([*_SPAN, ("child", "<u8")])
_BLOCK_ENTRY = struct.Struct("<IIIIQQ")


class Offsets(NamedTuple):
    """Where the parts of the file begin."""

    contig_tree: int
    data: int
    index_tree: int
    summary: int


def header(num_zooms: int, offsets: Offsets, max_block_bytes: int) -> bytes:
    """The 64 bytes every bigWig starts with; `max_block_bytes` is the largest block before compression."""
    (magic,) = struct.unpack("<I", MAGIC)
    places = (offsets.contig_tree, offsets.data, offsets.index_tree, 0, 0, 0, offsets.summary)
    return HEADER.pack(magic, 4, num_zooms, *places, max_block_bytes, 0)


def last_offset(head: bytes) -> int:
    """Largest of the offsets that the 64 bytes of a header name."""
    _, _, _, contigs, data, index, _, _, _, summary, _, _ = HEADER.unpack(head)
    return max(contigs, data, index, summary)


def contig_tree(contigs: Sequence[Contig], offset: int) -> bytes:
    """The tree of contig names (sorted: readers may bisect) to id (place in the list) and length."""
    names = [contig.name.encode() for contig in contigs]
    key = ("key", f"S{max(map(len, names))}")
    items = np.empty(len(names), dtype=[key, ("id", "<u4"), ("length_bp", "<u4")])
    items["key"], items["id"] = names, np.arange(len(names))
    items["length_bp"] = [contig.length_bp for contig in contigs]
    items.sort(order="key")
    parent = np.dtype([key, ("child", "<u8")])

    def parents(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        nodes = np.zeros(first.size, dtype=parent)
        nodes["key"] = first["key"]
        return nodes

    key_bytes = items.dtype["key"].itemsize
    head = _CONTIG_TREE_HEADER.pack(0x78CA8C91, min(_ITEMS_PER_NODE, len(names)), key_bytes, 8, len(names), 0)
    return head + _nodes(items, parents, offset + len(head))


class BlockIndex:
    """Which bases each block of the file holds; packed as it grows, 32 bytes a block."""

    def __init__(self) -> None:
        self._entries = bytearray()

    def __len__(self) -> int:
        return len(self._entries) // _BLOCK_ENTRY.size

    def add(self, first: tuple[int, int], last: tuple[int, int], offset: int, num_bytes: int) -> None:
        """Add the next block: (contig id, start) of its first item, (contig id, end) of its last."""
        self._entries += _BLOCK_ENTRY.pack(*first, *last, offset, num_bytes)

    def tree(self, offset: int, *, blocks_offset: int = 0) -> bytes:
        """The R tree, to be written at `offset`; `blocks_offset` is added to the offsets of the blocks."""
        blocks = np.frombuffer(self._entries, dtype=_BLOCK).copy()
        blocks["offset"] += blocks_offset
        bounds = (blocks["first_id"][0], blocks["start"][0], blocks["last_id"][-1], blocks["end"][-1])
        head = _BLOCK_TREE_HEADER.pack(0x2468ACE0, _ITEMS_PER_NODE, len(blocks), *bounds, offset, 1, 0)
        return head + _nodes(blocks, _span_parents, offset + len(head))


def _span_parents(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    nodes = np.zeros(first.size, dtype=_BLOCK_PARENT)
    nodes["first_id"], nodes["start"] = first["first_id"], first["start"]
    nodes["last_id"], nodes["end"] = last["last_id"], last["end"]
    return nodes


def _nodes(leaves: np.ndarray, parents: Callable[[np.ndarray, np.ndarray], np.ndarray], offset: int) -> bytes:
    """All nodes of a tree over sorted items, root first, as they lie from `offset` on.

    `parents(first, last)` makes the entries of the level above from the first and last entry of each node;
    their field `child` is filled in here.
    """
    levels = [leaves]
    while len(levels[-1]) > _ITEMS_PER_NODE:
        level = levels[-1]
        firsts = np.arange(0, len(level), _ITEMS_PER_NODE)
        lasts = np.minimum(firsts + _ITEMS_PER_NODE, len(level)) - 1
        levels.append(parents(level[firsts], level[lasts]))

    packed = []
    for depth in reversed(range(len(levels))):
        level = levels[depth]
        num_nodes = -(-len(level) // _ITEMS_PER_NODE)
        offset += num_nodes * _NODE_HEADER.size + level.nbytes
        if depth > 0:
            # every node of the level below is full but the last, so they lie at equal distances
            node_bytes = _NODE_HEADER.size + _ITEMS_PER_NODE * levels[depth - 1].itemsize
            level["child"] = offset + node_bytes * np.arange(len(level), dtype=np.uint64)
        for first in range(0, len(level), _ITEMS_PER_NODE):
            items = level[first : first + _ITEMS_PER_NODE]
            packed.append(_NODE_HEADER.pack(depth == 0, 0, len(items)) + items.tobytes())
    return b"".join(packed)
