"""Prompts and samples as letters: what `ldarnet model generate` prints."""

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.model import LDARNet
from ldarnet.model.sampling import sample


def continuations(
    model: LDARNet,
    prompt: str,
    num_letters: int,
    *,
    num_sequences: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """The prompt and up to `num_letters` letters after it, drawn `num_sequences` times.

    A model of DNA takes bases and has no sign for the start of a sequence: its prompt holds one base at least. One of
    bytes takes any text. Raises ValueError.
    """
    is_text = model.config.vocabulary == "bytes"
    if is_text:
        ids = np.frombuffer(bytes([vocab.TEXT_START]) + prompt.encode(), dtype=np.uint8)
    elif prompt:
        ids = vocab.encode(prompt)
    else:
        raise ValueError("prompt: expected one base or more, got none")
    start = torch.from_numpy(ids.copy()).expand(num_sequences, -1)
    drawn = sample(model, start, num_letters, temperature=temperature, top_p=top_p, seed=seed)
    new = torch.stack(list(drawn), dim=1).numpy().astype(np.uint8)
    if is_text:
        return [prompt + bytes(row).split(bytes([vocab.TEXT_END]))[0].decode(errors="replace") for row in new]
    return [vocab.decode(np.concatenate([ids, row])) for row in new]
