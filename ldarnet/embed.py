"""Hidden states of bases and chunks, with the cuts they belong to, as one .npz file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.boundaries import default_settings, pick_device
from ldarnet.checkpoint import load_model
from ldarnet.genome import Genome, Interval, Window, open_genome, parse_regions, plan_windows
from ldarnet.model import LDARNet
from ldarnet.tracks.atomic import PartialFile, TrackError, check_place


class EmbedSummary(NamedTuple):
    """What was written."""

    num_bases: int
    num_chunks: int
    num_arrays: int


def write_embeddings(
    fasta: str,
    out: Path,
    *,
    model: str,
    regions: str | None,
    levels: Sequence[str],
    window_bp: int | None,
    halo_bp: int | None,
    device: str,
    max_gb: float,
    random_weights: bool,
    say: Callable[[str], None],
) -> EmbedSummary:
    """Write base and chunk states of a FASTA or its regions; `levels` holds "base", "chunk" or both.

    A chunk's state is what the network inside stage 0 makes of it; it stands at the cut where the chunk starts.
    Windows overlap as for a track, each base and each chunk comes from the window whose core holds its cut.
    """
    if out.suffix != ".npz":
        raise TrackError(f"--out {out}: expected a name ending in .npz")
    check_place(out)
    with open_genome(fasta) as genome:
        for note in genome.notes:
            say(note)
        if regions is None:
            wanted = [Interval(c.name, 0, c.length_bp) for c in genome.contigs]
        else:
            wanted = list(parse_regions(regions, genome.contigs).intervals)
        network = load_model(model, device=pick_device(device), random_weights=random_weights)
        window, halo = default_settings(network, window_bp=window_bp, halo_bp=halo_bp)
        _check_size(wanted, network, levels, max_gb)
        arrays: dict[str, np.ndarray] = {}
        for interval in wanted:
            named = interval.chrom if regions is None else f"{interval.chrom}:{interval.start}-{interval.end}"
            for kind, array in _embed(network, genome, interval, window, halo).items():
                if kind.split("_")[0] in levels:
                    arrays[f"{named}/{kind}"] = array
    _save(out, arrays)
    num_chunks = sum(len(a) for name, a in arrays.items() if name.endswith("/chunk_cut"))
    num_bases = sum(len(a) for name, a in arrays.items() if name.endswith("/base_cut"))
    return EmbedSummary(num_bases, num_chunks, len(arrays))


def _embed(model: LDARNet, genome: Genome, interval: Interval, window_bp: int, halo_bp: int) -> dict[str, np.ndarray]:
    contig = next(c for c in genome.contigs if c.name == interval.chrom)
    parts: dict[str, list[np.ndarray]] = {
        "base_cut": [],
        "base_hidden": [],
        "chunk_cut": [],
        "chunk_hidden": [],
    }
    for window in plan_windows(contig, window_bp, halo_bp):
        low, high = max(window.core_start, interval.start), min(window.core_end, interval.end)
        if low < high:
            _add_window(parts, model, genome.ids(window.chrom, window.start, window.end), window, low, high)
    return {name: np.concatenate(pieces) for name, pieces in parts.items()}


def _add_window(
    parts: dict[str, list[np.ndarray]], model: LDARNet, ids: np.ndarray, window: Window, low: int, high: int
) -> None:
    device = next(model.parameters()).device
    with torch.inference_mode():
        out = model(torch.from_numpy(ids)[None].to(device))
    cuts = window.start + np.arange(len(ids))
    inside = (cuts >= low) & (cuts < high) & (ids != vocab.N)
    parts["base_cut"].append(cuts[inside])
    parts["base_hidden"].append(out.last_hidden_state[0].float().cpu().numpy()[inside])
    starts = cuts[out.routing[0].cut[0].cpu().numpy()]
    kept = (starts >= low) & (starts < high)
    parts["chunk_cut"].append(starts[kept])
    parts["chunk_hidden"].append(out.chunk_hidden_state[0][0].float().cpu().numpy()[kept])


def _check_size(wanted: Sequence[Interval], model: LDARNet, levels: Sequence[str], max_gb: float) -> None:
    widths = {"base": model.config.d_model[0], "chunk": model.config.d_model[1]}
    num_bases = sum(i.end - i.start for i in wanted)
    # A chunk per base is the most there can be; one per three is what to expect.
    gb = sum(4 * widths[level] * num_bases / (1 if level == "base" else 3) for level in levels) / 1e9
    if gb > max_gb:
        raise ValueError(
            f"about {gb:.1f} GB of hidden states for {num_bases:,} bases, more than --max-gb {max_gb:g}: "
            "choose --regions, or --level chunk, or raise --max-gb"
        )


def _save(out: Path, arrays: dict[str, np.ndarray]) -> None:
    if not any(array.size for array in arrays.values()):
        raise TrackError(f"no base has a hidden state: {out} was not written")
    part = PartialFile(out)
    try:
        np.savez(part.file, allow_pickle=False, **arrays)
        part.close()
        part.publish()
    finally:
        part.discard()
