"""What XLA is given: one reduction a sum on a device, runs that suit its CPU compiler there, and no sum taken apart."""

from __future__ import annotations

import re

import numpy as np
import pytest

import axisoft as ax

IN_JAX = pytest.mark.backends(fits=lambda backend: backend.name == "jax")
SHAPE = (6, 1000)

# How many reductions over the classes: of the value, and of the value and its gradient. The gradients of logsumexp and
# the losses make the largest element and the two sums of the value again, for XLA to find that they are the same.
REDUCTIONS = {
    "softmax": (lambda x, _: ax.softmax(x), 2, 4),
    "log_softmax": (lambda x, _: ax.log_softmax(x), 2, 4),
    "logsumexp": (lambda x, _: ax.logsumexp(x, axis=1), 2, 5),
    "cross_entropy": (lambda x, t: ax.cross_entropy(x, t, reduction="none"), 2, 4),
    "sigmoid": (lambda x, _: ax.sigmoid(x), 0, 0),
}


def value_and_gradient(fun):
    import jax

    def both(*args):
        y, pull = jax.vjp(fun, *args)
        return y, pull(y)[0]

    return both


def arrays(target):
    return target.array(np.zeros(SHAPE), "float32"), target.array(np.zeros(SHAPE[0]), "int")


def lowered(fun, platform, args):
    """The program for a platform, less what nothing uses."""
    import jax
    from jax import export
    from jax.extend.mlir import ir, passmanager
    from jax.interpreters import mlir

    text = export.export(jax.jit(fun), platforms=[platform])(*args).mlir_module()
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        passmanager.PassManager.parse("builtin.module(cse,canonicalize)").run(module.operation)
        return str(module)


@IN_JAX
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_sum_on_a_device_is_one_reduction(target, name):
    fun, *wanted = REDUCTIONS[name]
    for run, n in zip((fun, value_and_gradient(fun)), wanted, strict=True):
        text = lowered(run, "cuda", arrays(target))
        assert len(re.findall(r"stablehlo\.reduce\(.* dimensions = \[1\] : \(tensor<6x1000xf32>", text)) == n
        assert not re.search(r"stablehlo\.(reshape|slice|pad) .*tensor<6x(1000|\d+x\d+)xf32>", text)


@IN_JAX
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_the_cpu_sums_in_runs(target, name):
    import jax

    fun, *_ = REDUCTIONS[name]
    args = arrays(target)
    in_runs = "tensor<6x125x8xf32>" in lowered(fun, "cpu", args)
    assert in_runs is (name in ("softmax", "cross_entropy"))  # to a logarithm each sum by itself is the cheaper,
    if name != "cross_entropy":  # but not in float64
        wide = target.array(np.zeros(SHAPE), "float64")
        assert re.search(r"tensor<6x\d+x\d+xf64>", lowered(lambda x: fun(x, None), "cpu", (wide,)))
    for run in (fun, value_and_gradient(fun)):
        assert "conditional" not in jax.jit(run).lower(*args).compile().as_text()


@IN_JAX
def test_a_batch_of_unknown_size_changes_no_sum(target):
    import jax
    from jax import export

    (batch,) = export.symbolic_shape("batch")
    text = lowered(ax.softmax, "cpu", [jax.ShapeDtypeStruct((batch, 1000), "float32")])
    assert "tensor<?x125x8xf32>" in text


@IN_JAX
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_the_transpose_of_a_sum_is_a_broadcast(target, name):
    """A sum of few terms, or in an older version, is one of slices, whose own transpose would pad each of them."""
    import jax

    fun, *_ = REDUCTIONS[name]

    def loss(x, t):
        return ax.cross_entropy(x, t) if name == "cross_entropy" else fun(x, t).sum()

    x, t = arrays(target)
    assert " pad(" not in jax.jit(jax.grad(loss)).lower(x[:, :100], t).compile().as_text()


@IN_JAX
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sigmoid"])
def test_a_program_for_few_elements_is_not_much_longer_than_jaxs(target, name):
    """Of sums that XLA takes in sequence: up to 8 terms at once, more in pairs, a fifth of these programs each."""
    import jax

    x = target.array(np.zeros((4, 10)), "float32")
    options = {} if name == "sigmoid" else {"axis": -1}
    counts = []
    for module in (ax, jax.nn):
        text = jax.jit(getattr(module, name), static_argnames=tuple(options)).lower(x, **options).compile().as_text()
        counts.append(len(re.findall(r"^\s+(?:ROOT )?%?[\w.-]+ = ", text, re.MULTILINE)))
    assert counts[0] <= 2.25 * counts[1]
