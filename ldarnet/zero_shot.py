"""Zero-shot scores as tables: what `ldarnet model variants` and `ldarnet model knockouts` write."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ldarnet.checkpoint import load_model
from ldarnet.data.names import find_genome
from ldarnet.devices import pick_device
from ldarnet.essentiality import KnockOut, knock_out
from ldarnet.genome import Genome, open_genome
from ldarnet.model import LDARNet
from ldarnet.orfs import Orf, find_orfs
from ldarnet.sidecar import sidecar_path, versions, write_sidecar
from ldarnet.tracks.atomic import STDOUT, TrackError, check_inputs_stay, check_place, whole_file
from ldarnet.variant_effects import Method, VariantScore, score_variants
from ldarnet.variants import read_variants

VARIANT_COLUMNS = ("chrom", "pos", "ref", "alt", "score", "num_changes", "num_codons", "num_amino_acids")
KNOCKOUT_COLUMNS = (
    *("chrom", "start", "end", "strand", "drop", "control_drop", "insert_drop", "num_changes", "num_codons_lost"),
)
MIN_FOR_CORRELATION = 3

Say = Callable[[str], None]


class ZeroShotRequest(NamedTuple):
    """What both commands are asked for."""

    fasta: str
    out: Path
    model: str
    window_bp: int | None
    device: str
    random_weights: bool
    command: tuple[str, ...]


def write_variants(
    request: ZeroShotRequest, vcf: Path, *, both_strands: bool, with_orfs: bool, method: Method, say: Say
) -> None:
    """Score the variants of a VCF file into a TSV; pos is 1-based, as in VCF. Raises ValueError or OSError."""
    _check(request, vcf)
    with open_genome(find_genome(request.fasta)) as genome:
        variants = read_variants(vcf, genome)
        model = _model(request)
        if _body_alone_was_trained(model):
            say(f"note: {_name(model)} was fine-tuned without its letter head, which these scores are read from")
        orfs = _all_orfs(genome) if with_orfs else []
        scores = score_variants(
            model, genome, variants, orfs=orfs, window_bp=request.window_bp, both_strands=both_strands, method=method
        )
    _write(
        request,
        model,
        VARIANT_COLUMNS,
        map(_variant_row, scores),
        {"orfs": len(orfs), "both_strands": both_strands, "method": method},
    )
    say(f"{request.out}: {len(scores):,} variants by {_name(model)}")
    counts = {"num_changes": [s.num_changes for s in scores]}
    if scores and all(s.codons for s in scores):
        counts["num_amino_acids"] = [s.codons.num_amino_acids for s in scores if s.codons]
    _say_correlations("score", [s.score for s in scores], counts, say)


def write_knock_outs(
    request: ZeroShotRequest, *, min_bp: int, max_orfs: int | None, seed: int, say: Say
) -> list[KnockOut]:
    """Put a stop into the frames of a genome (a random sample of them) and write the scores into a TSV."""
    _check(request)
    with open_genome(find_genome(request.fasta)) as genome:
        model = _model(request)
        model.config.check_is("causal", to="score knock-outs")
        orfs = _all_orfs(genome, min_bp)
        num_found = len(orfs)
        if not orfs:
            raise ValueError(f"{genome.name}: no reading frame of {min_bp:,} bases or more")
        if max_orfs is not None and max_orfs < len(orfs):
            chosen = np.random.default_rng(seed).choice(len(orfs), max_orfs, replace=False)
            orfs = [orfs[i] for i in sorted(chosen)]
        scores = knock_out(model, genome, orfs, window_bp=request.window_bp)
    _write(request, model, KNOCKOUT_COLUMNS, map(_knock_out_row, scores), {"orfs": num_found, "seed": seed})
    say(f"{request.out}: {len(scores):,} of {num_found:,} reading frames by {_name(model)}; no labels, so no AUROC")
    stop, control = (np.array([getattr(s, name) for s in scores]) for name in ("drop", "control_drop"))
    say(
        f"mean drop {stop.mean():.3f} nats with a stop, {control.mean():.3f} with the same letters and no stop; "
        f"larger with the stop in {(stop > control).mean():.1%} of the frames"
    )
    _say_correlations("drop", stop, {"num_codons_lost": [s.num_codons_lost for s in scores]}, say)
    return scores


def _check(request: ZeroShotRequest, vcf: Path | None = None) -> None:
    written = (request.out,) if request.out == STDOUT else (request.out, sidecar_path(request.out))
    for path in written:
        check_place(path)
    check_inputs_stay(written, (("--fasta", request.fasta), ("--vcf", vcf), ("--model", request.model)))


def _model(request: ZeroShotRequest) -> LDARNet:
    return load_model(request.model, device=pick_device(request.device), random_weights=request.random_weights)


def _body_alone_was_trained(model: LDARNet) -> bool:
    """Whether fine-tuning changed the states that the letter head reads, and not the head."""
    notes = model.provenance.notes if model.provenance else {}
    return any(f"mode {mode}" in notes.get("fine-tuned on", "") for mode in ("full", "lora"))


def _name(model: LDARNet) -> str:
    assert model.provenance is not None
    return model.provenance.name


def _all_orfs(genome: Genome, min_bp: int | None = None) -> list[Orf]:
    found: list[Orf] = []
    for contig in genome.contigs:
        ids = genome.ids(contig.name, 0, contig.length_bp)
        found += find_orfs(contig.name, ids) if min_bp is None else find_orfs(contig.name, ids, min_bp)
    return found


def _variant_row(found: VariantScore) -> tuple[Any, ...]:
    v, codons = found.variant, found.codons or ("", "")
    return v.chrom, v.start + 1, v.ref, v.alt, f"{found.score:.6g}", found.num_changes, *codons


def _knock_out_row(found: KnockOut) -> tuple[Any, ...]:
    scores = (f"{value:.6g}" for value in (found.drop, found.control_drop, found.insert_drop))
    return *found.orf, *scores, found.num_changes, found.num_codons_lost


def _write(
    request: ZeroShotRequest,
    model: LDARNet,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    facts: dict[str, Any],
) -> None:
    """The table, whole or not at all, and beside a file how it was made."""
    try:
        with whole_file(request.out) as file:
            for row in (columns, *rows):
                file.write(("\t".join(map(str, row)) + "\n").encode())
    except OSError as error:
        raise TrackError(f"cannot write {request.out}: {error.strerror}") from None
    if request.out == STDOUT:
        return
    assert model.provenance is not None
    window_bp = request.window_bp or model.config.context_bp
    record = {"command": list(request.command), "versions": versions(), "fasta": request.fasta, "window_bp": window_bp}
    write_sidecar(request.out, record | {"model": asdict(model.provenance)} | facts)


def _say_correlations(name: str, values: Sequence[float] | np.ndarray, counts: dict[str, list[int]], say: Say) -> None:
    """How much of a score is a mere count: rank correlations with each."""
    for count, numbers in counts.items():
        if len(values) >= MIN_FOR_CORRELATION and len(set(numbers)) > 1:
            say(f"rank correlation of {name} with {count}: {rank_correlation(values, numbers):+.3f}")


def rank_correlation(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Spearman's, ties at their mean rank; NaN where one of the two is constant."""
    first, second = _ranks(np.asarray(a)), _ranks(np.asarray(b))
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    after = counts.cumsum()
    return ((after - counts + after - 1) / 2)[place]
