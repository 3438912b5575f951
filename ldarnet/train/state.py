"""Everything a run must remember, as named tensors: weights, optimiser, average of weights, random state."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ldarnet.train.optim import MovingAverage

MODEL, OPTIMIZER, AVERAGE, RANDOM = "model/", "optimizer/", "average/", "random"


def gather_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage | None
) -> dict[str, Tensor]:
    """Whole tensors on the CPU, wherever they live; every rank must call this together."""
    state = {MODEL + name: tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            state[f"{OPTIMIZER}{name}/{key}"] = value
    if average is not None:
        state |= {AVERAGE + name: tensor for name, tensor in average.weights.items()}
    gathered = {name: whole(tensor).detach().cpu().contiguous() for name, tensor in state.items()}
    return gathered | {RANDOM: torch.get_rng_state()}


def model_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's own state dict among the tensors of a checkpoint."""
    return {name.removeprefix(MODEL): tensor for name, tensor in tensors.items() if name.startswith(MODEL)}


def average_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights among the tensors of a checkpoint, under the model's own names."""
    return {name.removeprefix(AVERAGE): tensor for name, tensor in tensors.items() if name.startswith(AVERAGE)}


def restore_optimizer(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage | None
) -> None:
    """Put back what `gather_state` took, the model's weights excepted (they are loaded before sharding)."""
    for name, parameter in model.named_parameters():
        prefix = f"{OPTIMIZER}{name}/"
        saved = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        if saved:
            optimizer.state[parameter] = {key: _like(tensor, parameter) for key, tensor in saved.items()}
    if average is not None:
        for name, weight in average.weights.items():
            weight.copy_(_like(tensors[AVERAGE + name], weight))
    torch.set_rng_state(tensors[RANDOM])


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, gathered where it is divided among ranks; every rank must call this together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """The tensor on the parameter's device, divided as the parameter is (a step count stays whole)."""
    tensor = tensor.to(parameter.device)
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)
    return tensor
