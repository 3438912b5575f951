"""The Mamba-1 scan: compiled against the plain recurrence, forward and gradient; and the layer around it."""

import numpy as np
import pytest
import torch

from ldarnet.config import ModelConfig
from ldarnet.model.jit import kernel
from ldarnet.model.mamba1 import BiMamba1
from ldarnet.model.selective_scan import selective_scan
from ldarnet.model.selective_scan.compiled import selective_scan_compiled
from ldarnet.model.selective_scan.decay import exp_of_product
from ldarnet.model.selective_scan.reference import selective_scan_reference
from ldarnet.model.ssd import use_backend
from ldarnet.train.optim import decays

NAMES = ["y", "dx", "d dt", "dA", "dB", "dC", "dD"]
BACKENDS = [selective_scan_reference, selective_scan_compiled]
# Largest difference over largest value: float32 sums in another order; bfloat16 outputs carry 8 bits.
TOLERANCE = {torch.float32: 5e-6, torch.bfloat16: 1.6e-2}


def inputs(length, *, dtype=torch.float32, batch=2, num_directions=2, num_channels=70, state=16):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    lead = (batch, length, num_directions)
    x, B, C = normal(*lead, num_channels), normal(*lead, state), normal(*lead, state)
    dt = torch.nn.functional.softplus(normal(*lead, num_channels) - 1)
    if length > 2:  # at 2 the gradient of A would be zero and a relative difference mean nothing
        dt[:, length // 2 :: 7] = 0  # as on padding
    A, D = -torch.exp(normal(num_directions, num_channels, state)), normal(num_directions, num_channels)
    made = (x.to(dtype), dt, A, B.to(dtype), C.to(dtype), D)
    return [t.requires_grad_() for t in made]


def forward_and_gradients(scan, args):
    weights = torch.randn(args[0].shape, generator=torch.Generator().manual_seed(0))
    y = scan(*args)
    return [y, *torch.autograd.grad((y.float() * weights).sum(), args)]


def compare(args):
    got, want = (forward_and_gradients(scan, args) for scan in (selective_scan_compiled, selective_scan_reference))
    for name, g, w in zip(NAMES, got, want, strict=True):
        assert g.dtype == w.dtype
        g, w = g.detach().float(), w.detach().float()
        worst = float((g - w).abs().max() / w.abs().max().clamp(min=1e-6))
        assert worst < TOLERANCE[args[0].dtype], f"{name} differs by {worst:.1e}"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"])
@pytest.mark.parametrize("length", [1, 2, 63, 257])
def test_compiled_equals_reference(length, dtype):
    compare(inputs(length, dtype=dtype))


@pytest.mark.parametrize(("num_channels", "state"), [(1, 1), (5, 3), (64, 16), (65, 7), (128, 16)])
@pytest.mark.parametrize("num_directions", [1, 2])
def test_any_number_of_channels_states_and_directions(num_channels, state, num_directions):
    compare(inputs(19, num_directions=num_directions, num_channels=num_channels, state=state))


@pytest.mark.parametrize("scan", BACKENDS)
def test_three_bases_by_hand(scan):
    """One channel, one number of state; every step halves it (dt = ln 2, A = -1), then dt x B comes in."""
    ln2 = np.log(2)
    x, B, C = (torch.tensor(values).view(1, 3, 1, 1) for values in ([1.0, 2, 4], [1.0, 1, 3], [1.0, 10, 100]))
    dt = torch.full((1, 3, 1, 1), float(ln2))
    y = scan(x, dt, torch.full((1, 1, 1), -1.0), B, C, torch.full((1, 1), 0.5))
    states = [1, 0.5 + 2, (0.5 + 2) / 2 + 12]
    want = [ln2 * c * s + 0.5 * u for c, s, u in zip([1, 10, 100], states, [1, 2, 4], strict=True)]
    np.testing.assert_allclose(y.flatten().numpy(), want, rtol=1e-6)


@pytest.mark.parametrize("scan", BACKENDS)
def test_directions_mirror_each_other(scan):
    x, dt, A, B, C, D = inputs(50)
    y = scan(x, dt, A, B, C, D)
    mirrored = scan(*(t.flip(1, 2) for t in (x, dt)), A.flip(0), *(t.flip(1, 2) for t in (B, C)), D.flip(0))
    assert torch.allclose(y, mirrored.flip(1, 2), atol=1e-4)


@pytest.mark.parametrize("scan", BACKENDS)
def test_empty_steps_leave_the_state(scan):
    """dt = 0 passes the state on: inserting such bases changes no other output."""
    x, dt, A, B, C, D = inputs(40)
    with torch.no_grad():
        dt.clamp_(min=0.01)
        wide = [torch.cat([t[:, :20], 9 * torch.ones_like(t[:, :5]), t[:, 20:]], 1) for t in (x, B, C)]
        wide_dt = torch.cat([dt[:, :20], torch.zeros_like(dt[:, :5]), dt[:, 20:]], 1)
        y = scan(x, dt, A, B, C, D)
        inserted = scan(wide[0], wide_dt, A, wide[1], wide[2], D)
    assert torch.allclose(y, torch.cat([inserted[:, :20], inserted[:, 25:]], 1), atol=1e-5)


def test_a_state_that_is_wiped_out_stays_a_number():
    x, dt, A, B, C, D = inputs(5)
    with torch.no_grad():
        dt *= 1e4
    y = selective_scan_compiled(x, dt, A, B, C, D)
    want = selective_scan_reference(x, dt, A, B, C, D)
    assert torch.allclose(y, want, atol=1e-6 * float(want.detach().abs().max()))
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(y.sum(), (x, dt, A, B, C, D)))


@pytest.mark.parametrize("num_threads", [2, 3])
def test_neither_threads_nor_repetition_change_a_bit(num_threads):
    args = inputs(33, batch=3)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = forward_and_gradients(selective_scan_compiled, args)
        torch.set_num_threads(num_threads)
        for _ in range(2):
            together = forward_and_gradients(selective_scan_compiled, args)
            assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
        with torch.no_grad():
            assert torch.equal(selective_scan_compiled(*args), alone[0])
    finally:
        torch.set_num_threads(before)


def test_the_backend_in_force_is_used():
    args = inputs(9)
    plain, compiled = selective_scan_reference(*args), selective_scan_compiled(*args)
    assert not torch.equal(plain, compiled)
    assert torch.equal(selective_scan(*args), compiled)
    for name in ("reference", "chunked"):
        with use_backend(name):
            assert torch.equal(selective_scan(*args), plain)
    assert selective_scan(*(t.double() for t in args)).dtype == torch.float64


@kernel()
def _exp(sizes, rates, out):
    exp_of_product(sizes, rates, out)


def test_exponential_is_that_of_numpy():
    rates = -np.concatenate([np.linspace(0, 90, 5001), [1e-30, 1e-7, 1e6]]).astype(np.float32)
    out = np.empty_like(rates)
    _exp(np.ones_like(rates), rates, out)
    want = np.exp(np.maximum(rates, np.float32(-87)).astype(np.float64))
    assert np.abs(out / want - 1).max() < 3e-7


def config(width, fusion="sum", dt_rank=0):
    return ModelConfig(
        layout=("m1", ("m1",), "m1"),
        d_model=(width, width),
        d_intermediate=(0, 0),
        num_heads=(1, 1),
        rotary_dim=(0, 0),
        attention_window=(-1, -1),
        d_state=16,
        mamba="mamba1",
        fusion=fusion,
        dt_rank=dt_rank,
    )


@pytest.fixture
def layer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = BiMamba1(32, config(32))
        for parameter in made.parameters():
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return made


def test_parameters_of_a_layer_of_the_published_width():
    with torch.device("meta"):
        layer, narrow = BiMamba1(640, config(640)), BiMamba1(640, config(640, dt_rank=8))
    assert sum(p.numel() for p in layer.parameters()) == 2_803_200
    # Rank 40 is a sixteenth of the width; every rank costs a row of x_proj and a column of dt_proj per direction.
    assert sum(p.numel() for p in narrow.parameters()) == 2_803_200 - 2 * 2 * (40 - 8) * 1280
    decayed = {name for name, _ in layer.named_parameters() if decays(name)}
    assert decayed == {"in_proj.weight", "out_proj.weight", "conv_weight", "x_proj", "dt_proj"}


def one_direction(layer, x, d):
    """Mamba-1 as its code has it, left to right over [B, L, D], with the weights of one direction."""
    x_inner, z = (x @ layer.in_proj.weight.T).chunk(2, dim=-1)
    padded = torch.nn.functional.pad(x_inner.transpose(1, 2), (layer.num_taps - 1, 0))
    weight, bias = layer.conv_weight[d][:, None], layer.conv_bias[d]
    u = torch.nn.functional.silu(torch.nn.functional.conv1d(padded, weight, bias, groups=layer.d_inner)).transpose(1, 2)
    dt, B, C = (u @ layer.x_proj[d].T).split([layer.dt_rank, layer.d_state, layer.d_state], dim=-1)
    steps = torch.nn.functional.softplus(dt @ layer.dt_proj[d].T + layer.dt_bias[d])
    args = (u[:, :, None], steps[:, :, None], -layer.A_log[d : d + 1].exp(), B[:, :, None], C[:, :, None])
    y = selective_scan_reference(*args, layer.D[d : d + 1])[:, :, 0]
    return (y * torch.nn.functional.silu(z)) @ layer.out_proj.weight.T


@pytest.mark.parametrize(("fusion", "scale"), [("sum", 1), ("mean", 0.5)])
@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_layer_is_two_mambas_of_which_one_reads_the_mirror_image(layer, fusion, scale, backend):
    both = BiMamba1(32, config(32, fusion))
    both.load_state_dict(layer.state_dict())
    x = torch.randn(2, 37, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), use_backend(backend):
        want = scale * (one_direction(both, x, 0) + one_direction(both, x.flip(1), 1).flip(1))
        assert torch.allclose(both(x, None), want, atol=2e-5 * float(want.abs().max()))


def test_layer_has_the_same_gradients_on_either_way(layer):
    x = torch.randn(2, 33, 32, generator=torch.Generator().manual_seed(2)).requires_grad_()
    valid = torch.arange(33)[None] < torch.tensor([[33], [20]])
    found = []
    for backend in ("compiled", "reference"):
        with use_backend(backend):
            y = layer(x, valid)
            found.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    for got, want in zip(*found, strict=True):
        assert float((got - want).detach().abs().max()) < 1e-5 * float(want.detach().abs().max())


def test_padding_is_not_seen_unless_asked_for(layer):
    x = torch.randn(2, 33, 32, generator=torch.Generator().manual_seed(3))
    valid = torch.arange(33)[None] < torch.tensor([[33], [20]])
    with torch.no_grad():
        alone = layer(x[1:, :20], None)
        assert torch.allclose(layer(x, valid)[1:, :20], alone, atol=1e-6)
        x[1, 20:] = 1e3
        assert torch.allclose(layer(x, valid)[1:, :20], alone, atol=1e-6)
        assert not torch.allclose(layer(x, valid, leaky_padding=True)[1:, :20], alone, atol=1e-3)


def test_fresh_step_sizes_lie_between_a_thousandth_and_a_tenth():
    layer = BiMamba1(32, config(32))
    steps = torch.nn.functional.softplus(layer.dt_bias.detach())
    assert 0.0009 < float(steps.min()) < 0.01 < float(steps.max()) < 0.11
    assert torch.allclose(-layer.A_log.exp()[0, 0], -torch.arange(1.0, 17))


@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_layer_under_autocast_stays_near_float32(layer, backend):
    x = torch.randn(1, 40, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad(), use_backend(backend):
        want = layer(x, None)
        with torch.autocast("cpu", torch.bfloat16):
            got = layer(x, None)
    assert got.dtype == torch.bfloat16
    assert float((got - want).abs().max()) < 0.03 * float(want.abs().max())
