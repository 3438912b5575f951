"""Model files: safetensors with the configuration inside, published .pt files, hub ids. Nothing is ever unpickled."""

import hashlib
import json
import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short_repr

import torch
from torch import Tensor

from ldarnet.config import PRESETS, ModelConfig
from ldarnet.devices import pick_device
from ldarnet.model import LDARNet
from ldarnet.model.ldarnet import Padding
from ldarnet.model.unfilled import unfilled
from ldarnet.own_format import read_own, save_model, tensors_sha256
from ldarnet.provenance import CheckpointError, Provenance
from ldarnet.published import read_published
from ldarnet.tracks.atomic import check_place

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT = "default"
SUFFIXES = (".safetensors", ".pt", ".pth")

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(?::[\w./ -]+)?", re.ASCII)


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
    `device`: "cpu", "cuda", "cuda:1", "mps", or "auto". Raises CheckpointError, or ValueError for the device.
    """
    place = device if isinstance(device, torch.device) else pick_device(device)
    if random_weights:
        if (preset := str(source)) not in PRESETS:
            raise CheckpointError(f"random weights need a preset ({', '.join(PRESETS)}), got {short_repr(preset)}")
        return random_model(PRESETS[preset], padding=padding, seed=seed, name=f"{preset}-random").to(place)
    path, name = resolve(source)
    config, state, notes = read_checkpoint(path)
    model = _assemble(path, config, state, padding)
    # Free text of whoever made the file, and printed as it is by every command.
    name = _printable(notes.pop("name", name))
    model.provenance = Provenance(name, str(source), file_sha256(path), notes)
    return model.to(place).eval()


def resolve(source: str | Path) -> tuple[Path, str]:
    """The file that holds a model, fetched from the hub where need be, and a name for it."""
    text = str(source)
    shipped = WEIGHTS / f"{text}.safetensors"
    if text == DEFAULT or (text in PRESETS and shipped.is_file()):
        return shipped, text
    if text in PRESETS:
        raise CheckpointError(f"no weights are shipped for {text}; pass --random-weights to run it untrained")
    if (kind := _kind_of(Path(source))) == "file":
        return Path(source), Path(source).stem
    if kind == "folder":
        raise CheckpointError(f"{source} is a folder; expected a .safetensors or .pt file")
    if kind == "other":
        raise CheckpointError(f"{source} is not a regular file; expected a .safetensors or .pt file")
    is_hub_id = _HUB_ID.fullmatch(text) is not None
    if is_hub_id and (":" in text or not text.endswith(SUFFIXES)):
        from ldarnet.hub import download

        return download(text), text
    if text.endswith(SUFFIXES) or text.startswith((".", "/", "~")):
        raise CheckpointError(f"no such file: {text}")
    shipped_names = ", ".join(sorted(path.stem for path in WEIGHTS.glob("*.safetensors")))
    near = get_close_matches(text, [DEFAULT, *PRESETS], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise CheckpointError(
        f"no model {short_repr(text)}: expected a file, a hub id such as owner/name, or one that ships "
        f"({shipped_names}){meant}"
    )


def _kind_of(path: Path) -> str:
    try:
        if path.is_file():
            return "file"
        return "folder" if path.is_dir() else "other" if path.exists() else "nothing"
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise CheckpointError(f"cannot read {short_repr(str(path))}: {error.strerror}") from None


def read_checkpoint(path: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, str]]:
    """Configuration, our state dict and notes of a model file of either kind. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    if not head:
        raise CheckpointError(f"{path} is empty")
    # A safetensors file opens with the length of its header, any 8 bytes, and the brace of the header.
    if head[8:] == b"{":
        return read_own(path)
    if head.startswith(b"PK\x03\x04"):
        return *read_published(path), {}
    if head.startswith(b"\x80"):
        raise CheckpointError(
            f"{path} is a bare pickle; loading it could run code, so it is refused. "
            "Save it again with torch 1.6 or later, or ask its author for a safetensors file"
        )
    raise CheckpointError(f"{path} is no model file: expected safetensors, or a .pt file as torch.save writes it")


def _assemble(path: Path, config: ModelConfig, state: dict[str, Tensor], padding: Padding) -> LDARNet:
    try:
        with unfilled():  # shapes only, so that a damaged configuration cannot exhaust memory
            model = LDARNet(config, padding=padding)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    expected = model.state_dict()
    if missing := sorted(expected.keys() - state.keys()):
        raise CheckpointError(f"{path}: {len(missing)} tensors missing, the first is {missing[0]!r}")
    if extra := sorted(state.keys() - expected.keys()):
        raise CheckpointError(f"{path}: {len(extra)} unknown tensors, the first is {extra[0]!r}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            want, got = tuple(expected[name].shape), tuple(tensor.shape)
            raise CheckpointError(f"{path}: {name!r} has shape {got}, the configuration calls for {want}")
    model.load_state_dict(state, assign=True)
    return model


def random_model(config: ModelConfig, *, padding: Padding = "exact", seed: int = 0, name: str = "random") -> LDARNet:
    """An untrained model, the same for the same seed; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the generators of GPUs too
        model = LDARNet(config, padding=padding)
    digest = tensors_sha256(model.state_dict(), {"config": config.to_json()})
    model.provenance = Provenance(name, f"random weights, seed {seed}", digest, {"status": "untrained"})
    return model.eval()


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert_model(source: str, out: Path, *, context_bp: int | None, notes: dict[str, str], half: bool = False) -> int:
    """Write any loadable model as our own file; returns its number of parameters.

    `half` stores weights in float16 (two bytes instead of four, rounded once; they are float32 again when loaded).
    `notes` replace those of the source that have the same key. Raises CheckpointError or TrackError.
    """
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: expected a name ending in .safetensors")
    check_place(out)
    model = load_model(source)
    assert model.provenance is not None
    if context_bp is not None:
        model.config = replace(model.config, context_bp=context_bp)
    dtype = torch.float16 if half else torch.float32
    save_model(model, out, {"name": out.stem, **model.provenance.notes, **notes}, dtype=dtype)
    return model.num_parameters()


def describe(model: LDARNet) -> dict[str, str]:
    """Facts about a model for people, in reading order."""
    config, origin = model.config, model.provenance
    options = config.sibling_options()
    assert origin is not None
    return {
        "name": origin.name,
        "source": _printable(origin.source),
        "sha256": origin.sha256,
        "parameters": f"{model.num_parameters():,}",
        "layout": json.dumps(config.layout),
        "widths": ", ".join(map(str, config.d_model)),
        "stages": str(config.num_stages),
        "context": f"{config.context_bp:,} {'bases' if config.vocabulary == 'dna' else 'bytes'}",
        **({"unlike LDARNet": ", ".join(_option(*option) for option in options.items())} if options else {}),
        # Free text of whoever made the file: it must not pass for one of the facts above, nor steer a terminal.
        **{f"note {_printable(key)}": _printable(text) for key, text in origin.notes.items()},
    }


def _option(name: str, value: object) -> str:
    return f"{name} {value if isinstance(value, str | int) else short_repr(value)}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
