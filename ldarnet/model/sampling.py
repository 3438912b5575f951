"""New letters from a causal model: temperature, and the smallest set of letters that holds a share of probability."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ldarnet import vocab
from ldarnet.model.ldarnet import LDARNet
from ldarnet.model.stepping import Stepper


def letter_probs(logits: Tensor, *, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Probabilities to draw from, of logits [..., letters].

    Logits are divided by the temperature (0 = all on the likeliest letter); of the letters, from the likeliest down,
    those are kept that are needed to reach `top_p` together. Raises ValueError.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature: expected 0 or more, got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a share above 0 and at most 1, got {top_p}")
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    # From the largest down, which stays 0 at any temperature: near 0 a quotient may be beyond all numbers.
    below = logits.double() - logits.double().amax(-1, keepdim=True)
    probs = (below / temperature).softmax(-1)
    falling, order = probs.sort(dim=-1, descending=True, stable=True)
    before = falling.cumsum(-1) - falling
    kept = torch.zeros_like(probs).scatter(-1, order, falling.masked_fill(before >= top_p, 0))
    return kept / kept.sum(-1, keepdim=True)


def sample(
    model: LDARNet,
    prompt: Tensor,
    num_letters: int,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[Tensor]:
    """`num_letters` times the ids [batch] that come next after `prompt` [batch, length >= 1].

    From a model of DNA bases only (A, C, G, T); from one of bytes all but the byte that starts a text, and nothing
    after the one that ends it. The same seed gives the same letters. Raises ValueError.
    """
    if num_letters < 1:
        raise ValueError(f"num_letters: expected 1 or more, got {num_letters}")
    letter_probs(torch.zeros(2), temperature=temperature, top_p=top_p)  # refuse before anything is computed
    generator = torch.Generator().manual_seed(seed)
    is_text = model.config.vocabulary == "bytes"
    allowed = _allowed(model.config.vocab_size, is_text=is_text)
    stepper = Stepper(model, len(prompt))
    logits = stepper.read(prompt).logits
    has_ended = torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(num_letters):
        probs = letter_probs(logits.cpu().float()[:, allowed], temperature=temperature, top_p=top_p)
        ids = allowed[torch.multinomial(probs, 1, generator=generator)[:, 0]]
        if is_text:
            ids = torch.where(has_ended, vocab.TEXT_END, ids)
            has_ended |= ids == vocab.TEXT_END
        yield ids
        if bool(has_ended.all()):
            return
        logits = stepper.step(ids).logits


def _allowed(vocab_size: int, *, is_text: bool) -> Tensor:
    if not is_text:
        return torch.tensor([vocab.A, vocab.C, vocab.G, vocab.T])
    return torch.tensor([i for i in range(min(vocab_size, vocab.NUM_BYTES)) if i != vocab.TEXT_START])
