"""The tracks of all shards of a run, put together into the track of the whole; torch is not needed."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ldarnet.genome import Contig, Shard, parse_shard
from ldarnet.sidecar import sidecar_path, write_sidecar
from ldarnet.tracks import Track, TrackError, check_target, format_of, open_track, open_writer

READ_BP = 1 << 20

# What decides the values, as the sidecar spells it. Where a run took place does not.
DECISIVE = (
    *(("versions", "ldarnet"), ("model", "sha256"), ("fasta", "contigs"), ("regions",), ("settings", "padding")),
    *(("settings", name) for name in ("window_bp", "halo_bp", "strand", "stage", "dtype", "batch_tokens", "decimals")),
)


class Part(NamedTuple):
    """The track of a shard and its sidecar; `covers` is contig -> (first base, one past the last)."""

    path: Path
    record: dict[str, Any]
    shard: Shard
    covers: dict[str, tuple[int, int]]


def merge_tracks(parts: Sequence[Path], outputs: Sequence[Path], *, say: Callable[[str], None]) -> int:
    """Write the whole track, byte for byte that of a run without shards, and its sidecar; returns its values.

    Raises ValueError for parts without a sidecar, of other models, settings or FASTAs, missing, given twice, or of
    which a value is not there; TrackError for files that cannot be read or written. Then nothing is left.
    """
    for number, out in enumerate(outputs):
        check_target(out)
        if out.resolve() in [other.resolve() for other in outputs[:number]]:
            raise TrackError(f"--out {out} is given twice")
        if any(out.exists() and out.samefile(part) for part in parts if part.exists()):
            raise TrackError(f"{out} is one of the parts and would be overwritten: choose another --out")
    found = sorted((_read_part(path) for path in parts), key=lambda part: part.shard.number)
    _check_one_run(found)
    _check_complete(found)
    first = found[0].record
    if first["settings"]["stage"] > 0 and any(format_of(out) == "bed" for out in outputs):
        raise ValueError(
            "the chunks of a later stage need the genome: merge to .bw, and write the .bed with boundaries"
        )
    contigs = [Contig(contig["name"], contig["length"]) for contig in first["fasta"]["contigs"]]
    strand = first["settings"]["strand"]
    with ExitStack() as stack:
        tracks = [stack.enter_context(open_track(part.path)) for part in found]
        writers = [
            stack.enter_context(open_writer(out, contigs, strand=strand if strand in "+-" else ".")) for out in outputs
        ]
        num_values = [0] * len(found)
        for name, length_bp in contigs:
            for start in range(0, length_bp, READ_BP):
                values = _values(found, tracks, name, start, min(length_bp, start + READ_BP), num_values)
                if values is not None:
                    for writer in writers:
                        writer.write(name, start, values)
        for part, num in zip(found, num_values, strict=True):
            if num != part.record["values"]:
                raise TrackError(
                    f"{part.path}: expected the {part.record['values']:,} values of its sidecar, found {num:,}; "
                    "the file is damaged or was changed"
                )
        for writer in writers:
            writer.finish()
        for writer in writers:
            writer.commit()
    total = sum(num_values)
    for out in outputs:
        write_sidecar(out, _whole_record(found, outputs, total))
    say(f"{len(found)} shards of {first['fasta']['name']}, model {first['model']['name']}")
    return total


def _read_part(path: Path) -> Part:
    sidecar = sidecar_path(path)
    try:
        record = json.loads(sidecar.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no {sidecar.name} beside it, which says what shard it is") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{sidecar}: expected the sidecar of a track, got something else ({error})") from None
    if not isinstance(record, dict) or not record.get("shard"):
        raise ValueError(
            f"{path}: expected the track of a shard, but {sidecar.name} names none (made without --shard?)"
        )
    try:
        covers = {chrom: (int(start), int(end)) for chrom, start, end in record["covers"]}
        for field in DECISIVE:
            _look_up(record, field)
        return Part(path, record, parse_shard(record["shard"]), covers)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{sidecar}: expected the sidecar of a shard, it lacks or garbles {error}") from None


def _look_up(record: dict[str, Any], field: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    value: Any = record
    for key in field:
        value = value[key]
    return value


def _check_one_run(parts: Sequence[Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        for field in DECISIVE:
            values = _look_up(first.record, field), _look_up(part.record, field)
            if values[0] != values[1]:
                shown = "" if field == ("fasta", "contigs") else f" ({values[0]} and {values[1]})"
                raise ValueError(f"{first.path} and {part.path} are not of one run: {'.'.join(field)} differs{shown}")


def _check_complete(parts: Sequence[Part]) -> None:
    count = parts[0].shard.count
    for part in parts:
        if part.shard.count != count:
            raise ValueError(f"{parts[0].path} is shard {parts[0].shard}, {part.path} is shard {part.shard}")
    numbers = [part.shard.number for part in parts]
    for part in parts:
        if numbers.count(part.shard.number) > 1:
            raise ValueError(f"{part.path}: shard {part.shard} is given twice")
    if missing := [str(number) for number in range(1, count + 1) if number not in numbers]:
        raise ValueError(f"expected all {count} shards, got {len(parts)}: missing {', '.join(missing)}")


def _values(
    parts: Sequence[Part], tracks: Sequence[Track], chrom: str, start: int, end: int, num_values: list[int]
) -> np.ndarray | None:
    """The values of all parts; counts them into `num_values`. None where no part comes to these bases."""
    merged: np.ndarray | None = None
    for index, (part, track) in enumerate(zip(parts, tracks, strict=True)):
        first, last = part.covers.get(chrom, (0, 0))
        if first >= end or last <= start:
            continue
        values = np.full(end - start, np.nan, dtype=np.float32)
        # A bedGraph does not say how long contigs are: to its reader, one ends at its last line, or is not there.
        low, high = max(start, first), min(end, last, dict(track.contigs).get(chrom, 0))
        if low < high:
            values[low - start : high - start] = track.values(chrom, low, high)
        has_value = ~np.isnan(values)
        num_values[index] += int(np.count_nonzero(has_value))
        if merged is None:
            merged = values
        elif (has_value & ~np.isnan(merged)).any():
            raise ValueError(f"{part.path}: a base of {chrom}:{start}-{end} has a value in another shard too")
        else:
            merged[has_value] = values[has_value]
    return merged


def _whole_record(parts: Sequence[Part], outputs: Sequence[Path], num_values: int) -> dict[str, Any]:
    first = parts[0].record
    whole = first["whole"]
    record = {key: value for key, value in first.items() if key not in ("shard", "covers", "whole", "command")}
    without_value = dict(whole["without_value"])
    if first["settings"]["stage"] > 0:
        key = "no chunk of the stage before starts there"
        without_value[key] = whole["bases"] - num_values - sum(v for k, v in without_value.items() if k != key)
    elif whole["bases"] != num_values + sum(without_value.values()):
        raise TrackError(f"expected {whole['bases'] - sum(without_value.values()):,} values, found {num_values:,}")
    seconds = sum(part.record["seconds"] for part in parts)
    return record | {
        "merged_from": [part.path.name for part in parts],
        "commands": [part.record["command"] for part in parts],
        "started": min(part.record["started"] for part in parts),
        "outputs": [str(out) for out in outputs],
        "bases": whole["bases"],
        "values": num_values,
        "without_value": without_value,
        "seconds": round(seconds, 3),
        "bases_per_second": round(whole["bases"] / max(seconds, 1e-9)),
    }
