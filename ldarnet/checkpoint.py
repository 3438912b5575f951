"""Model files: safetensors with the configuration inside, published .pt files, hub ids. Nothing is ever unpickled."""

import hashlib
import json
import pickle
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ldarnet.config import PRESETS, ModelConfig
from ldarnet.model import LDARNet
from ldarnet.model.ldarnet import Padding
from ldarnet.provenance import Provenance
from ldarnet.published import convert_state, published_config
from ldarnet.tracks.atomic import PartialFile

FORMAT = "ldarnet-1"
WEIGHTS = Path(__file__).parent / "weights"
DEFAULT = "default"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?::[\w./-]+)?")


class CheckpointError(ValueError):
    """A model that cannot be loaded; the message says which file and why."""


def load_model(
    source: str | Path = DEFAULT,
    *,
    device: str | torch.device = "cpu",
    padding: Padding = "exact",
    random_weights: bool = False,
    seed: int = 0,
) -> LDARNet:
    """A model in eval mode; its origin is in `model.provenance`.

    `source`: "default" (shipped with the package), a preset name, a file (.safetensors of ours, .pt of the published
    code), or a hub id "owner/name" or "owner/name:file". `random_weights` initialises a preset from `seed`.
    Raises CheckpointError.
    """
    if random_weights:
        return _random(str(source), padding, seed).to(device).eval()
    path, name = resolve(source)
    config, state, notes = read_checkpoint(path)
    model = _assemble(path, config, state, padding)
    model.provenance = Provenance(notes.pop("name", name), str(source), file_sha256(path), notes)
    return model.to(device).eval()


def resolve(source: str | Path) -> tuple[Path, str]:
    """The file that holds a model, fetched from the hub where need be, and a name for it."""
    text = str(source)
    shipped = WEIGHTS / f"{text}.safetensors"
    if text == DEFAULT or (text in PRESETS and shipped.is_file()):
        return shipped, text
    if text in PRESETS:
        raise CheckpointError(f"no weights are shipped for {text}; pass --random-weights to run it untrained")
    path = Path(source)
    if path.is_file():
        return path, path.stem
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; expected a .safetensors or .pt file")
    if path.suffix not in (".safetensors", ".pt", ".pth") and _HUB_ID.fullmatch(text):
        from ldarnet.hub import download

        return download(text), text
    known = ", ".join([DEFAULT, *PRESETS])
    raise CheckpointError(f"no model {text!r}: expected a file, a hub id such as owner/name, or one of {known}")


def save_model(model: LDARNet, path: Path, **notes: str) -> None:
    """Write weights, configuration and notes as one safetensors file, beside the target and then renamed."""
    metadata = {
        "format": FORMAT,
        "config": model.config.to_json(),
        "notes": json.dumps(notes, sort_keys=True),
    }
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    part = PartialFile(path)
    try:
        part.file.write(safetensors.torch.save(state, metadata))
        part.close()
        part.publish()
    finally:
        part.discard()


def read_checkpoint(path: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, str]]:
    """Configuration, our state dict and notes of a model file of either kind. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    if not head:
        raise CheckpointError(f"{path} is empty")
    # A safetensors file opens with the length of its JSON header; a .pt file is a zip archive or a bare pickle.
    return _read_published(path) if head[:2] == b"PK" or head[:1] == b"\x80" else _read_safetensors(path)


def _read_safetensors(path: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path} is a safetensors file of another model family: its metadata says format "
                    f"{metadata.get('format')!r}, expected {FORMAT!r}"
                )
            config = ModelConfig.from_json(metadata.get("config", ""))
            notes = json.loads(metadata.get("notes", "{}"))
            return config, {name: file.get_tensor(name) for name in file.keys()}, dict(notes)  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is not a complete safetensors file ({error}); download it again") from None
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _read_published(path: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, str]]:
    try:
        payload: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} holds Python objects besides tensors; loading it could run code, so it is refused. "
            "Ask its author for a safetensors file, or for one saved from plain dicts and tensors"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        first_line = str(error).strip().split("\n")[0][:200]
        raise CheckpointError(f"{path} is not a complete checkpoint ({first_line}); download it again") from None
    if not isinstance(payload, dict) or not isinstance(payload.get("config"), dict) or "model" not in payload:
        got = sorted(map(str, payload))[:6] if isinstance(payload, dict) else type(payload).__name__
        raise CheckpointError(f"{path} is no LDARNet checkpoint: expected keys 'model' and 'config', got {got}")
    state = payload["model"]
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise CheckpointError(f"{path} is no LDARNet checkpoint: 'model' is not a table of tensors")
    try:
        config = published_config(payload["config"])
        return config, convert_state(config, state), {}
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _assemble(path: Path, config: ModelConfig, state: dict[str, Tensor], padding: Padding) -> LDARNet:
    with torch.device("meta"):  # shapes only, so that a damaged configuration cannot exhaust memory
        model = LDARNet(config, padding=padding)
    expected = model.state_dict()
    if missing := sorted(expected.keys() - state.keys()):
        raise CheckpointError(f"{path}: {len(missing)} tensors missing, the first is {missing[0]!r}")
    if extra := sorted(state.keys() - expected.keys()):
        raise CheckpointError(f"{path}: {len(extra)} unknown tensors, the first is {extra[0]!r}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            want, got = tuple(expected[name].shape), tuple(tensor.shape)
            raise CheckpointError(f"{path}: {name!r} has shape {got}, the configuration calls for {want}")
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: {name!r} holds values that are not finite numbers; download it again")
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return model


def _random(preset: str, padding: Padding, seed: int) -> LDARNet:
    if preset not in PRESETS:
        raise CheckpointError(f"random weights need a preset ({', '.join(PRESETS)}), got {preset!r}")
    return random_model(PRESETS[preset], padding=padding, seed=seed, name=f"{preset}-random")


def random_model(config: ModelConfig, *, padding: Padding = "exact", seed: int = 0, name: str = "random") -> LDARNet:
    """An untrained model, the same for the same seed; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LDARNet(config, padding=padding)
    digest = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        digest.update(tensor.numpy().tobytes())
    source = f"random weights, seed {seed}"
    model.provenance = Provenance(name, source, digest.hexdigest(), {"status": "untrained"})
    return model.eval()


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert_model(source: str, out: Path, *, context_bp: int | None, notes: dict[str, str]) -> int:
    """Write any loadable model as our own file; returns its number of parameters. Raises CheckpointError."""
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: expected a name ending in .safetensors")
    if not out.parent.is_dir():
        raise CheckpointError(f"cannot write {out}: folder {out.parent} does not exist")
    model = load_model(source)
    assert model.provenance is not None
    if context_bp is not None:
        model.config = replace(model.config, context_bp=context_bp)
    save_model(model, out, **{"name": out.stem, **model.provenance.notes, **notes})
    return model.num_parameters()


def describe(model: LDARNet) -> dict[str, str]:
    """Facts about a model for people, in reading order."""
    config, origin = model.config, model.provenance
    assert origin is not None
    return {
        "name": origin.name,
        "source": origin.source,
        "sha256": origin.sha256,
        "parameters": f"{model.num_parameters():,}",
        "layout": json.dumps(config.layout),
        "widths": ", ".join(map(str, config.d_model)),
        "stages": str(config.num_stages),
        "context": f"{config.context_bp:,} bases",
        **origin.notes,
    }
