"""The methods of an analysis as a paragraph for a paper, its numbers filled in; only what was done is claimed."""

import shlex
from typing import Any

from ldarnet_analysis.balance import MAX_SMD
from ldarnet_analysis.control_rules import RULES
from ldarnet_analysis.locus_sums import MIN_LOCI
from ldarnet_analysis.primary import PRIMARY_FAMILY
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import LOOKS, RUNGS, SITES, signed
from ldarnet_analysis.verdicts import primary_rows

_STRANDS = {
    "both-mean": "the mean of both strands",
    "+": "of the + strand alone",
    "-": "of the − strand alone",
}


def methods_paragraphs(results: Results) -> list[str]:
    """Sites and profiles, controls, look-up, tests: one paragraph of plain text each."""
    return [part for part in (_sites(results), _controls(results), _lookup(results), _tests(results)) if part]


def citation_lines(results: Results) -> list[str]:
    """What to cite: model, software, and the motif matrices where they were used."""
    versions = results.run.get("versions")
    version = versions.get("ldarnet", "") if isinstance(versions, dict) else ""
    lines = [
        "The model: Ledneva and Kuznetsov (2026), LDARNet, arXiv:2606.04552.",
        f"This analysis: ldarnet {version}".rstrip() + ", with the checksums of model and inputs given above.",
        "Dynamic chunking: Hwang, Wang and Gu (2025), H-Net, arXiv:2507.07955.",
    ]
    if any("POL0" in str(entry) for entry in _panel(results)):
        paper = "Fornes et al. (2020), Nucleic Acids Res. 48:D87"
        lines.append(f"Motif matrices: POLII collection of JASPAR (CC BY 4.0), {paper}.")
    return lines


def command_text(results: Results) -> str:
    """The command that made the analysis, as it could be typed; empty if not recorded."""
    return shlex.join(results.command)


def tracks_text(results: Results) -> str:
    """Which tracks were read, and which of them for the sites on which strand."""
    names = {name: _input_name(results, name) for name in ("track", "track_minus")}
    if not names["track"]:
        return "Which tracks were read is not recorded."
    if names["track_minus"]:
        return f"Sites on + read {names['track']}, sites on − read {names['track_minus']}."
    strand = _STRANDS.get(str(_sidecar_settings(results).get("strand")), "strand not recorded")
    return f"Sites on both strands read {names['track']} ({strand})."


def _input_name(results: Results, name: str) -> str:
    inputs = results.run.get("inputs")
    entry = inputs.get(name) if isinstance(inputs, dict) else None
    return str(entry.get("name", "")) if isinstance(entry, dict) else ""


def _sidecar_settings(results: Results) -> dict[str, Any]:
    sidecar = results.run.get("track_sidecar")
    settings = sidecar.get("settings") if isinstance(sidecar, dict) else None
    return settings if isinstance(settings, dict) else {}


def _sites(results: Results) -> str:
    sites, profiles = results["sites"], results["profiles"]
    loci = sites.groupby("class", sort=False)["locus"]
    listed = ", ".join(f"{name} {len(each):,} in {each.nunique():,}" for name, each in loci)
    offsets = profiles.loc[profiles["rung"] == SITES, "offset"]
    reach = f" from {signed(offsets.min(), 0)} to {signed(offsets.max(), 0)} bp" if len(offsets) else ""
    return (
        f"Sites were {len(sites):,} anchors of {loci.ngroups} classes (sites in loci: {listed}). Values of the track "
        f"were read at single bases{reach} from each site's cut, in the direction of its strand; a cut at offset c "
        f"lies left of base c. {tracks_text(results)} A cut counts as made where its probability is above 0.5. Bands "
        "are pointwise 95 % intervals by bootstrap of whole loci; none is given for fewer than "
        f"{MIN_LOCI} loci."
    )


def _controls(results: Results) -> str:
    drawn = results["pairs"].groupby("rung")["pair_id"].size()
    parts = [f"{LOOKS[rung].label} ({drawn[rung]:,} pairs)" for rung in RUNGS if rung in drawn.index]
    if not parts:
        return ""
    rules = [RULES[rung] for rung in drawn.index if rung in RULES]
    calipers = sorted({f"{reach:g}" for each in rules for reach in each.calipers.values()})
    within = f" within calipers of {' and '.join(calipers)} standard deviations" if calipers else ""
    scored = sorted(results.scored_classes) if "same-kmer" in drawn.index else []
    named = ", ".join(scored)
    by_score = f" Controls of rung same-kmer share the score, not the letters, of {named}." if scored else ""
    forced = " unless forced (here they were forced)" if _settings(results).get("force") is True else ""
    return (
        f"Controls were paired with sites, each place used once: {', '.join(parts)}. Covariates were matched by "
        f"nearest neighbour{within}, never widened; sites without a control were left out and are listed. Comparisons "
        f"with a standardised mean difference above {MAX_SMD:g} in any matched covariate after matching were "
        f"refused{forced}.{by_score}"
    )


def _lookup(results: Results) -> str:
    r2 = results["r2"]
    if r2.empty:
        return ""
    last = r2.sort_values("k", kind="stable").iloc[-1]
    return (
        "What the letters near a cut explain was taken away: the expected value of each cut is the mean over cuts "
        f"with the same k-mer around them (half on each side, up to k = {last['k']:.0f}, shrunk towards that of "
        f"shorter k-mers), fitted on other parts of the genome. It explained {100 * last['r2']:.0f} % of the "
        f"variance of the track on {last['num_positions']:,.0f} held-out cuts. The residual is the track less this "
        "expectation."
    )


def _tests(results: Results) -> str:
    family = primary_rows(results["tests"])
    made = int((family["status"] == "ok").sum())
    windows = "; ".join(f"{name} {signed(a, 0)} to {signed(b, 0)}" for name, (a, b) in results.windows.items())
    where = f" ({windows})" if windows else ""
    seed = _settings(results).get("seed", results.run.get("seed"))
    seeded = "" if seed is None else f" Random seed: {seed}."
    return (
        f"The value of a site is the mean of the track over a window fixed beforehand{where}. Sites were compared with "
        "the mean of their own controls by a two-sided sign-flip permutation test of whole loci (overlapping "
        "transcripts of one strand); effects are mean paired differences with 95 % intervals by cluster bootstrap "
        f"(bootstrap-t). The pre-registered family is the {PRIMARY_FAMILY['signal']} against "
        f"{LOOKS[PRIMARY_FAMILY['rung']].control}s, one test per class ({made} of {len(family)} could be made), "
        f"adjusted by Benjamini and Hochberg; other tests are not adjusted.{seeded}"
    )


def _settings(results: Results) -> dict[str, Any]:
    settings = results.run.get("settings")
    return settings if isinstance(settings, dict) else {}


def _panel(results: Results) -> list[Any]:
    panel = results.run.get("panel")
    return panel if isinstance(panel, list) else []
