"""Annotations read beside the page: a large one takes longer than a reader waits for the first picture."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from threading import Lock

from ldarnet.genome import Contig
from ldarnet_app.sources.genes import GeneIndex, gene_index

_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="annotation")
_Key = tuple[Path, tuple[Contig, ...]]
_reading: dict[_Key, Future[GeneIndex]] = {}
_failed: dict[_Key, tuple[tuple[int, int], Exception]] = {}
"""Why an annotation could not be read, with its time and size then: it is not read again until it changes."""
_lock = Lock()


def genes_within(annotation: Path, contigs: tuple[Contig, ...], wait_s: float) -> GeneIndex | None:
    """The index of an annotation, None if it takes longer than `wait_s`: it is read on, for a later call.

    Raises what `gene_index` raises.
    """
    key, stat = (annotation, contigs), annotation.stat()
    stamp = stat.st_mtime_ns, stat.st_size
    with _lock:
        if key in _failed and _failed[key][0] == stamp:
            raise _failed[key][1]
        if key not in _reading:
            _reading[key] = _pool.submit(gene_index, annotation, contigs)
        reading = _reading[key]
    try:
        return reading.result(wait_s)
    except NotYet:
        return None
    except (ValueError, OSError) as error:
        with _lock:
            _failed[key] = stamp, error
        raise
    finally:
        if reading.done():
            # the next call asks the cache, which knows whether the file has changed
            with _lock:
                _reading.pop(key, None)
