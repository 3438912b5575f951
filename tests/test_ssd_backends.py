"""Every backend of the scan against the plain recurrence, forward and gradient."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ldarnet.config import PRESETS
from ldarnet.model import chunking
from ldarnet.model.jit import run_in_pieces
from ldarnet.model.mixers import BiMamba2, RMSNorm
from ldarnet.model.ssd import BACKENDS, fused, ssd_scan, use_backend

LENGTHS = [1, 2, 63, 257]
NAMES = ["y", "dx", "d dt", "dA", "dB", "dC", "dD"]
# Largest difference over largest value. float32: sums of a few hundred terms in another order. bfloat16 inputs and
# outputs carry 8 bits, the arithmetic in between is float32 in every backend.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 1.6e-2}


def inputs(length, dtype, *, num_directions=2, num_heads=3, dim=8, state=16, device="cpu"):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    lead = (2, length, num_directions)
    x, B, C = normal(*lead, num_heads, dim), normal(*lead, state), normal(*lead, state)
    dt = torch.nn.functional.softplus(normal(*lead, num_heads) - 1)
    if length > 2:  # at 2 the gradient of A would be zero and a relative difference mean nothing
        dt[:, length // 2 :: 7] = 0  # as on padding
    A, D = -torch.exp(normal(num_directions, num_heads)), normal(num_directions, num_heads)
    made = (x.to(dtype), dt, A, B.to(dtype), C.to(dtype), D)
    return [t.to(device).requires_grad_() for t in made]


def forward_and_gradients(backend, args):
    weights = torch.randn(args[0].shape, generator=torch.Generator().manual_seed(0)).to(args[0].device)
    y = BACKENDS[backend](*args)
    return [y, *torch.autograd.grad((y.float() * weights).sum(), args)]


def compare(backend, args, dtype):
    got, want = forward_and_gradients(backend, args), forward_and_gradients("reference", args)
    for name, g, w in zip(NAMES, got, want, strict=True):
        assert g.dtype == w.dtype
        g, w = g.detach().float(), w.detach().float()
        worst = float((g - w).abs().max() / w.abs().max().clamp(min=1e-6))
        print(f"  {backend} {str(dtype)[6:]} length {args[0].shape[1]} {name}: {worst:.1e}")
        assert worst < TOLERANCE[dtype], f"{name} differs by {worst:.1e}"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("backend", ["chunked", "compiled"])
def test_backend_equals_reference(backend, length, dtype):
    compare(backend, inputs(length, dtype), dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("backend", ["chunked", "fused"])
def test_backend_equals_reference_on_gpu(backend, length, dtype):
    compare(backend, inputs(length, dtype, dim=64, state=64, device="cuda"), dtype)


@pytest.mark.parametrize("backend", ["chunked", "compiled"])
def test_one_direction_and_odd_sizes(backend):
    for dim, state in ((1, 1), (5, 3), (64, 128)):
        compare(backend, inputs(19, torch.float32, num_directions=1, dim=dim, state=state), torch.float32)


@pytest.mark.parametrize("backend", ["reference", "chunked", "compiled"])
def test_directions_mirror_each_other(backend):
    """Reading the mirrored sequence with swapped directions mirrors the output."""
    x, dt, A, B, C, D = inputs(50, torch.float32)
    y = BACKENDS[backend](x, dt, A, B, C, D)
    mirrored = BACKENDS[backend](
        *(t.flip(1, 2) for t in (x, dt)), A.flip(0), *(t.flip(1, 2) for t in (B, C)), D.flip(0)
    )
    assert torch.allclose(y, mirrored.flip(1, 2), atol=1e-4)


@pytest.mark.parametrize("backend", ["reference", "chunked", "compiled"])
def test_empty_steps_leave_the_state(backend):
    """dt = 0 passes the state on: inserting such bases changes no other output."""
    x, dt, A, B, C, D = inputs(40, torch.float32)
    with torch.no_grad():
        dt.clamp_(min=0.01)
        wide = [torch.cat([t[:, :20], 9 * torch.ones_like(t[:, :5]), t[:, 20:]], 1) for t in (x, B, C)]
        wide_dt = torch.cat([dt[:, :20], torch.zeros_like(dt[:, :5]), dt[:, 20:]], 1)
        y = BACKENDS[backend](x, dt, A, B, C, D)
        inserted = BACKENDS[backend](wide[0], wide_dt, A, wide[1], wide[2], D)
    kept = torch.cat([inserted[:, :20], inserted[:, 25:]], 1)
    assert torch.allclose(y, kept, atol=1e-4)


def test_unknown_backend_is_named():
    with (
        pytest.raises(ValueError, match="unknown scan backend 'fast'; there are reference, chunked"),
        use_backend("fast"),
    ):
        pass


def test_use_backend_is_in_force():
    args = inputs(5, torch.float32)
    with use_backend("reference"):
        assert torch.equal(ssd_scan(*args), BACKENDS["reference"](*args))


@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("length", [1, 3, 77])
def test_cpu_kernels_equal_plain_torch(length, objective):
    """Convolution, gate and norms with the compiled scan against plain torch code: outputs and every gradient."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layer, norm = BiMamba2(64, replace(PRESETS["ldarnet-2m"], objective=objective)), RMSNorm(64)
        for parameter in [*layer.parameters(), norm.weight]:
            parameter.data.add_(0.3 * torch.randn_like(parameter))
        x = 3 * torch.randn(2, length, 64)
        x[0, length // 2] = 40  # far out on the exponential
        weights = torch.randn(2, length, 64)
    valid = torch.arange(length)[None] < torch.tensor([[length], [max(length - 27, 1)]])
    names = ["x", *(name for name, _ in layer.named_parameters()), "norm"]

    def outputs(backend):
        inputs = [x.clone().requires_grad_(), *layer.parameters(), norm.weight]
        with use_backend(backend):
            y = layer(norm(inputs[0]), valid)
            return [y, *torch.autograd.grad((y * weights).sum(), inputs)]

    fast, plain = outputs("compiled"), outputs("chunked")
    assert not torch.equal(plain[0], fast[0]), "both went the same way: nothing was compared"
    for name, got, want in zip(["output", *names], fast, plain, strict=True):
        got, want = got.detach(), want.detach()
        difference = float((got - want).abs().max() / want.abs().max().clamp(min=1e-6))
        print(f"  length {length} {name}: {difference:.1e}")
        # One direction: the plain recurrence itself is 1.2e-5 from float64 in dt_bias here, and each of these 2.5e-5.
        assert difference < (3e-5 if objective == "causal" and name == "dt_bias" else 1e-5), name


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200])
def test_moving_average_equals_reference(length):
    generator = torch.Generator().manual_seed(length)
    z = torch.randn(3, length, 5, generator=generator, dtype=torch.float32).requires_grad_()
    p = torch.rand(3, length, generator=generator).clamp(1e-4, 1 - 1e-4).requires_grad_()
    with torch.no_grad():
        p[:, ::9] = 1 - 1e-4
        p[:, 4::9] = 1e-4
    got, want = chunking.moving_average(z, p), chunking.moving_average_reference(z, p)
    assert torch.allclose(got, want, atol=1e-5)
    weights = torch.randn(got.shape, generator=generator)
    for g, w in zip(
        torch.autograd.grad((got * weights).sum(), (z, p)),
        torch.autograd.grad((want * weights).sum(), (z, p)),
        strict=True,
    ):
        assert torch.allclose(g, w, rtol=1e-4, atol=1e-4)


def test_kernels_compile_where_no_cache_folder_can_be_written(monkeypatch):
    from ldarnet.model import jit

    asked = []

    def njit(**options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(jit, "njit", njit)
    assert jit.kernel()(len) is len
    assert [options.get("cache") for options in asked] == [True, None]
    assert asked[1]["nogil"]


@pytest.mark.slow  # compiles every kernel anew; make test-bits
def test_fresh_and_cached_kernels_give_the_same_bits(tmp_path):
    """A first run on a machine compiles its kernels, the next reads them from disk."""
    code = """
import hashlib, torch
from ldarnet.checkpoint import load_model
ids = torch.randint(0, 4, (2, 512), generator=torch.Generator().manual_seed(0))
model = load_model("default")
model(ids).logits.sum().backward()
grads = b"".join(p.grad.numpy().tobytes() for p in model.parameters() if p.grad is not None)
print(hashlib.sha256(grads).hexdigest())
with torch.inference_mode():
    print(hashlib.sha256(model.boundaries(ids).routing[0].prob.numpy().tobytes()).hexdigest())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True) for _ in range(2)]
    assert list(tmp_path.rglob("*.nbc")), runs[0].stderr.decode()
    assert len(runs[0].stdout) > 120
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_pieces_cover_the_work_once(num_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        for num_items in (1, 2, 7):
            done = []
            run_in_pieces(lambda first, last, done: done.extend(range(first, last)), num_items, done)
            assert sorted(done) == list(range(num_items))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("body", ["raise RuntimeError('built for another torch')", "import no_such_module_at_all"])
def test_a_mamba_ssm_that_cannot_be_imported_is_told_and_left_alone(tmp_path, monkeypatch, body):
    (tmp_path / "mamba_ssm").mkdir()
    (tmp_path / "mamba_ssm" / "__init__.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    fused._kernel.cache_clear()
    try:
        with pytest.warns(UserWarning, match="mamba-ssm is installed but cannot be imported"):
            assert not fused.is_available()
        assert not fused.is_available(), "said once"
    finally:
        fused._kernel.cache_clear()
        sys.modules.pop("selective_scan_cuda", None)
