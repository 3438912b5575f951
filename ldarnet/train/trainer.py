"""Model, optimiser and data of a run at some step. `Trainer.step` is all there is to training."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from ldarnet.checkpoint import random_model
from ldarnet.model import LDARNet
from ldarnet.model.ldarnet import ResidualLayer
from ldarnet.train.batches import Batches, MicroBatch
from ldarnet.train.draws import Draws
from ldarnet.train.examples import make_examples
from ldarnet.train.losses import cut_shares, letter_loss, ratio_loss
from ldarnet.train.optim import MovingAverage, make_optimizer, rate_multipliers, schedule, set_rate, stage_of
from ldarnet.train.ranks import Ranks
from ldarnet.train.run_folder import Saved
from ldarnet.train.settings import TrainSettings
from ldarnet.train.state import gather_state, model_state, restore_optimizer, whole

PARTS = ("encoder", "router", "inner", "decoder")


class Diverged(ValueError):
    """Loss, gradient or weights stopped being numbers; the message says at which step and batch."""


class Trainer:
    """A run after `num_done` steps: from its start, or from a checkpoint where one is given; to be closed.

    `draws` must stand where the run does.
    """

    def __init__(self, settings: TrainSettings, ranks: Ranks, draws: Draws, saved: Saved | None = None) -> None:
        self.settings, self.ranks = settings, ranks
        config = settings.model_config()
        torch.default_generator.manual_seed(settings.seed)
        self.model: LDARNet = random_model(config, seed=settings.seed).train()
        if saved is not None:
            self.model.load_state_dict(model_state(saved.tensors))
        self.model.to(ranks.device)
        self._network = _distributed(self.model, settings, ranks)
        multipliers = rate_multipliers(config, settings.tokens_per_chunk, settings.learning_rate_rule)
        self._optimizer = make_optimizer(
            self.model, multipliers, betas=settings.betas, eps=settings.eps, weight_decay=settings.weight_decay
        )
        self._average = MovingAverage(self.model, settings.ema_decay) if settings.ema_decay else None
        self.num_done = 0
        # What the log will say is the mean over the steps since its last line.
        self._sums = torch.zeros(2 + 3 * config.num_stages, dtype=torch.float64)
        self._num_summed = 0
        self._norm = math.nan
        if saved is not None:
            self.num_done, self._num_summed = saved.step, saved.meta["num_summed"]
            self._sums.copy_(saved.tensors["sums"])
            restore_optimizer(saved.tensors, self.model, self._optimizer, self._average)
        self._num_micro = settings.accumulation(ranks.num_ranks)
        self._draws_state = draws.state()
        self._batches = Batches(
            draws,
            num_windows=settings.micro_batch_tokens // settings.window_bp,
            num_micro=self._num_micro,
            make=partial(
                make_examples,
                objective=config.objective,
                seed=settings.seed,
                mask_share=settings.mask_share,
                repeat_weight=settings.repeat_weight,
            ),
        )

    def step(self) -> None:
        """One optimiser step, together with all ranks. Raises Diverged, and ValueError for data that cannot be read."""
        set_rate(self._optimizer, self._rate())
        with self.ranks.together():
            batches = self._batches.take()
        self._optimizer.zero_grad(set_to_none=True)
        rows = []
        for number, batch in enumerate(batches.micro, start=1):
            with self._gradients_shared(number == self._num_micro):
                row = self._losses(batch)
                (row[0] / self._num_micro).backward()
            rows.append(row.detach())
        record = self.ranks.mean(torch.stack(rows)).cpu().double()
        self._norm = float(whole(nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)))
        self._check_finite(record, batches.micro)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self.model)
        self._sums += record.mean(0)
        self._num_summed += 1
        self._draws_state = batches.draws_state
        self.num_done += 1

    def take_record(self) -> dict[str, Any]:
        """What the log says: means over the steps since this was last called, norms of the last gradient.

        Every rank must call this together.
        """
        mean = (self._sums / self._num_summed).tolist()
        num_stages = self.settings.model_config().num_stages
        ratios, cuts, probs = (mean[2 + i * num_stages : 2 + (i + 1) * num_stages] for i in range(3))
        self._sums.zero_()
        self._num_summed = 0
        return {
            "step": self.num_done,
            "tokens": self.num_done * self.settings.tokens_per_step,
            "loss": mean[0],
            "letter_loss": mean[1],
            "ratio_loss": ratios,
            "cut_share": cuts,
            "mean_prob": probs,
            "learning_rate": self._optimizer.param_groups[0]["lr"] / self._optimizer.param_groups[0]["multiplier"],
            "grad_norm": self._norm,
            "grad_norm_per_stage": self._norm_per_part(),
        }

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values of a checkpoint; every rank must call this together.

        Raises Diverged where a weight is no longer a number: no run could go on from there.
        """
        tensors = gather_state(self.model, self._optimizer, self._average) | {"sums": self._sums.clone()}
        bad = [name for name, tensor in model_state(tensors).items() if not bool(tensor.isfinite().all())]
        if bad:
            raise Diverged(f"step {self.num_done}: weights are no longer numbers ({bad[0]} and {len(bad) - 1} others)")
        return tensors, {"draws": self._draws_state, "num_summed": self._num_summed}

    def close(self) -> None:
        """Stop making batches, and let go of the other ranks."""
        self._batches.close()
        # What shares gradients must go before the process group: else it takes the group with it while it holds the
        # interpreter's lock, which gloo's threads may be waiting for, and the process never ends.
        del self._network

    def _rate(self) -> float:
        s = self.settings
        return s.learning_rate * schedule(
            self.num_done, s.num_steps, s.num_warmup_steps, s.num_decay_steps, s.floor_share, s.decay_shape
        )

    def _losses(self, batch: MicroBatch) -> Tensor:
        """Loss, its letter part, and per stage: ratio losses, shares of cuts, mean probabilities."""
        settings, device = self.settings, self.ranks.device
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.dtype == "bfloat16"):
            out = self._network(batch.inputs.to(device, non_blocking=True))
        labels, weights = batch.labels, batch.weights
        letters = letter_loss(
            out.logits,
            labels.to(device, non_blocking=True),
            None if weights is None else weights.to(device, non_blocking=True),
        )
        with_forced = settings.counts_forced_cuts
        ratios = torch.stack(
            [
                ratio_loss(routing, target, with_forced=with_forced)
                for routing, target in zip(out.routing, settings.tokens_per_chunk, strict=True)
            ]
        )
        loss = letters + self._weighed(ratios)
        shares = [cut_shares(routing, with_forced=with_forced) for routing in out.routing]
        logged = torch.stack([*(share.cut for share in shares), *(share.prob for share in shares)])
        return torch.cat([torch.stack([loss, letters]), ratios, logged])

    def _weighed(self, ratios: Tensor) -> Tensor:
        """What the ratio losses of the stages [stages] add to the loss."""
        settings = self.settings
        if not settings.ratio_weights:
            return settings.ratio_weight * ratios.sum()
        return (ratios * ratios.new_tensor(settings.ratio_weights)).sum()

    @contextmanager
    def _gradients_shared(self, is_wanted: bool) -> Iterator[None]:
        """Ranks exchange gradients in the last micro-batch of a step only."""
        if isinstance(self._network, DistributedDataParallel) and not is_wanted:
            with self._network.no_sync():
                yield
            return
        if isinstance(self._network, FSDPModule):
            self._network.set_requires_gradient_sync(is_wanted)
        yield

    def _norm_per_part(self) -> dict[str, float]:
        """Norms of the last gradient before it was clipped, per part of the model."""
        named = [(name, p.grad) for name, p in self.model.named_parameters() if p.grad is not None]
        norms = torch.stack([whole(torch.linalg.vector_norm(grad.float())) for _, grad in named])
        num_stages = self.model.config.num_stages
        inner = [f"{part} {stage}" for stage in range(1, num_stages) for part in ("encoder", "router", "decoder")]
        squares = dict.fromkeys([*PARTS, *inner], 0.0)
        for (name, _), norm in zip(named, norms.tolist(), strict=True):
            squares[part_of(name, num_stages)] += norm**2
        clipped = max(1.0, (self._norm + 1e-6) / self.settings.clip_norm)  # as clip_grad_norm_ does it
        return {part: clipped * math.sqrt(square) for part, square in squares.items()}

    def _check_finite(self, record: Tensor, micro: Sequence[MicroBatch]) -> None:
        bad = [number for number, row in enumerate(record) if not bool(row.isfinite().all())]
        if not bad and math.isfinite(self._norm):
            return
        if bad:
            what, first, last = f"the loss of micro-batch {bad[0] + 1} of {len(micro)}", micro[bad[0]], micro[bad[0]]
        else:
            what, first, last = "the gradient", micro[0], micro[-1]
        windows = f"windows {self._draws_of_ranks(first).start} to {self._draws_of_ranks(last).stop - 1}"
        raise Diverged(
            f"step {self.num_done + 1}: {what} is no longer a number ({windows} of the run's draws); a lower "
            "train.learning_rate or a longer warm-up usually helps"
        )

    def _draws_of_ranks(self, batch: MicroBatch) -> range:
        """The draws that all ranks together took for a micro-batch."""
        num = len(batch.draws)
        first = int(batch.draws[0]) - self.ranks.rank * num
        return range(first, first + self.ranks.num_ranks * num)


def part_of(name: str, num_stages: int = 1) -> str:
    """The part of the model a parameter belongs to: encoder, router, decoder or inner, what the innermost chunks pass.

    Parts of stages within the outermost one are named with their number: "router 1".
    """
    stage = stage_of(name)
    if stage == num_stages:
        return "inner"
    *_, last = ["", *name.split("inner.")]
    own = last.removeprefix("stage.").split(".")[0]
    part = {"embedding": "encoder", "encoder": "encoder", "router": "router"}.get(own, "decoder")
    return f"{part} {stage}" if stage else part


def _distributed(model: LDARNet, settings: TrainSettings, ranks: Ranks) -> nn.Module:
    if ranks.num_ranks == 1:
        return model
    if settings.parallel == "fsdp":
        for module in model.modules():
            if isinstance(module, ResidualLayer):
                fully_shard(module)
        fully_shard(model)
        return model
    return DistributedDataParallel(model, device_ids=[ranks.device] if ranks.device.type == "cuda" else None)
