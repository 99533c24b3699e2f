"""The suite's own variants: within rounding on every network, the same bits unrecorded, planted mistakes found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backproof import config
from backproof.network import Network
from backproof.runs import GuardedReference
from backproof.settings import Settings, prepare
from backproof.training import Training, fingerprint
from backproof.verify import verify_network
from reference import network as reference
from tests.runs import assert_same_bits
from tests.support import BY_NAME, ROOT, SUITE, shrunk, training

SAMPLES = 24
ORDER = np.random.default_rng(7).permutation(SAMPLES)
BATCHES = (None, ORDER, ORDER[::-1])
"""Of one size: one program each where programs are compiled."""
CONFIGURED = config.require(ROOT)
every_variant = pytest.mark.parametrize("name", CONFIGURED.variants)
every_network = pytest.mark.parametrize(
    "network", [shrunk(network) for network in SUITE], ids=lambda network: network.name
)


def load(name: str) -> Any:
    pytest.importorskip(CONFIGURED.variants[name].of)
    if CONFIGURED.variants[name].dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    return CONFIGURED.implementation(name)


def given(network: Network, name: str, batches: Any = BATCHES) -> Training:
    return training(network, SAMPLES, 3, CONFIGURED.variants[name].dtype or "float32", batches)


@every_variant
@every_network
def test_within_rounding_and_the_same_bits_unrecorded(network: Network, name: str) -> None:
    module, start = load(name), given(network, name)
    steps = list(module.record(start))
    replayed = type("Replayed", (), {"record": staticmethod(lambda training: iter(steps))})
    facts = verify_network(start, {name: replayed}, GuardedReference(reference))  # type: ignore[dict-item]
    run = facts["implementations"][name]
    assert (run["verdict"], run["findings"], run["uncompared"]) == ("rounding", [], {}), run["findings"][:2]
    assert {array.dtype for step in steps for array in step.tensors.values()} == {start.dtype}
    final = module.train(start)
    assert_same_bits(final, {key: steps[-1].tensors[f"{key}_next"] for key in final}, "recorded and unrecorded")


def test_compiled_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many programs as shapes, in every run anew, and nothing falls back to plain PyTorch."""
    pytest.importorskip("torch")
    from torch._dynamo.backends.registry import register_backend
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("aot_eager")
    register_backend(counter, name="counted")
    start = given(BY_NAME["two_layer"], "torch_compiled", (None, ORDER[:7], None, ORDER[:5]) * 2)
    module = CONFIGURED.implementation("torch").variant(compile="counted")  # type: ignore[attr-defined]
    list(module.record(start))
    module.train(start)
    assert counter.frame_count == 2 * 3


def test_not_jitted_leaves_jit_on_for_everybody_else() -> None:
    jax = pytest.importorskip("jax")
    steps = load("jax_eager").record(given(BY_NAME["two_layer"], "jax_eager"))
    next(steps)
    assert not jax.config.jax_disable_jit


def test_not_jitted_compiles_no_step() -> None:
    module: Any = load("jax_eager") and CONFIGURED.implementation("jax")
    before = module.recorded_step._cache_size()
    list(load("jax_eager").record(given(BY_NAME["sparse_labels"], "jax_eager")))
    assert module.recorded_step._cache_size() == before


def first_finding(name: str, module: Any) -> tuple[Any, ...]:
    facts = verify_network(given(BY_NAME["row_major"], name), {name: module}, GuardedReference(reference))
    first = facts["implementations"][name]["findings"][0]
    return first["step"], first["quantity"], first["kind"], first["verdict"]


MISTAKES = {
    "dA": lambda dA, dW, db: (None if dA is None else dA * 1.01, dW, db),
    "dW": lambda dA, dW, db: (dA, dW * 1.01, db),
    "db": lambda dA, dW, db: (dA, dW, db * 1.01),
}


@pytest.mark.parametrize(("mistake", "found"), [("dA", "dA2"), ("dW", "dW3"), ("db", "db3")])
def test_a_mistake_in_the_autograd_function(mistake: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("torch_by_hand")
    from implementations.torch_layers import Affine

    honest = Affine.backward
    monkeypatch.setattr(Affine, "backward", staticmethod(lambda ctx, dZ: MISTAKES[mistake](*honest(ctx, dZ))))
    assert first_finding("torch_by_hand", module) == (0, found, "equation", "bug")


@pytest.mark.parametrize(("mistake", "found"), [("dA", "dA2"), ("dW", "dW3"), ("db", "db3")])
def test_a_mistake_in_the_custom_vjp(mistake: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jax = pytest.importorskip("jax")
    from implementations import jax_layers

    wrong = jax.custom_vjp(jax_layers.dense)
    wrong.defvjp(jax_layers._forward, lambda kept, dZ: MISTAKES[mistake](*jax_layers._backward(kept, dZ)))
    monkeypatch.setitem(jax_layers.LAYERS, "custom_vjp", wrong)
    assert first_finding("jax_by_hand", load("jax_by_hand")) == (0, found, "equation", "bug")


def test_the_same_initial_weights_rounded_once() -> None:
    """bfloat16's are float64's, each rounded to nearest, and float32's are what they were."""
    pytest.importorskip("ml_dtypes")
    pytest.importorskip("sklearn")
    from backproof import data

    digits, network = data.load("digits"), CONFIGURED.networks["two_layer"]
    by_dtype = {
        dtype: prepare(network, digits, Settings(samples=8, dtype=dtype), reference)
        for dtype in ("float64", "float32", "bfloat16")
    }
    exact, narrow = by_dtype["float64"], by_dtype["bfloat16"]
    for wide, near in [(exact.X, narrow.X), *((exact.parameters[n], narrow.parameters[n]) for n in exact.parameters)]:
        assert near.dtype.name == "bfloat16" and not near.flags.writeable
        assert (np.abs(near.astype(float) - wide) <= 2**-8 * np.abs(wide)).all()
    assert by_dtype["float32"].initial_hash == fingerprint(reference.initial_parameters(network, 0, "float32"))
