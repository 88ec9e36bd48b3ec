"""``axisoft.vjp`` and ``axisoft.value_and_grad`` on every backend, and the rules that all gradients rest on."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import BOTH, CASES, FACTOR, LABELS, MASK, SOFT, WEIGHT, X, finite_differences, made

import axisoft as ax
from axisoft._core import OPS, by_formula
from axisoft._core.binary import BINARY_WEIGHTS
from axisoft._core.losses import LOGIT_GRADIENT
from axisoft._core.weights import REDUCTION, WEIGHTS

INF, NAN = np.inf, np.nan


def on(target, fun, args, options, dtype="float64", cotangent=None):
    """Value and cotangents of the positional arrays, as NumPy; the cotangent of the value is ones unless given."""
    arrays = [made(target, a, dtype) for a in args]
    y, pullback = ax.vjp(fun, *arrays, **{k: made(target, v, dtype) for k, v in options.items()})
    g = target.xp.ones_like(y) if cotangent is None else made(target, cotangent, dtype)
    found = pullback(g)
    assert len(found) == len(args)
    for a, d in zip(arrays, found, strict=True):
        assert d is None or (tuple(d.shape) == tuple(a.shape) and d.dtype == a.dtype and type(d) is type(a))
    return target.numpy(y), [None if d is None else target.numpy(d) for d in found]


@pytest.mark.parametrize("name", CASES)
def test_finite_differences(target, name):
    """Along every floating array, against random cotangents of each result, with NumPy's values."""
    fun, args, options = CASES[name]
    cotangent = np.asarray(np.random.default_rng(3).normal(size=fun(*args, **options).shape))
    y, found = on(target, fun, args, options, cotangent=cotangent)
    assert np.allclose(y, fun(*args, **options), rtol=1e-13, atol=0)
    for index, (arg, d) in enumerate(zip(args, found, strict=True)):
        if arg.dtype.kind != "f":
            assert d is None
            continue

        def moved(v, index=index):
            y = fun(*args[:index], v, *args[index + 1 :], **options)
            return np.where(np.isinf(y), 0.0, y) * cotangent

        assert np.allclose(d, finite_differences(moved, arg), rtol=1e-8, atol=1e-9), f"array {index}"


SCALARS = [name for name, (fun, args, options) in CASES.items() if fun(*args, **options).shape == ()]


@pytest.mark.parametrize("name", SCALARS)
def test_value_and_grad_is_vjp_with_a_cotangent_of_1(target, name):
    fun, args, options = CASES[name]
    value, gradient = ax.value_and_grad(fun)(
        *(made(target, a) for a in args), **{k: made(target, v) for k, v in options.items()}
    )
    y, found = on(target, fun, args, options)
    assert tuple(value.shape) == ()
    assert np.array_equal(target.numpy(value), y)
    assert np.array_equal(target.numpy(gradient), found[0])


# The edges ------------------------------------------------------------------------------------------------------------

ROW = np.asarray([[NAN, INF, 1.0, -INF]])
HIDDEN = np.zeros((1, 4), dtype=bool)
TROUBLE = np.asarray([[NAN, INF, 0.0], [-INF, -INF, -INF], [INF, NAN, -INF], [0.0, -1.0, 2.0]])
ONE, THREE = np.asarray([1]), np.asarray([1, 1, 1, 2])
P4 = np.exp(TROUBLE[3]) / np.exp(TROUBLE[3]).sum()
AFTER = np.concatenate([np.zeros((3, 3)), [P4 - [0, 0, 1]]])
DROPPED = {"sample_weight": np.asarray([0.0, 0.0, 0.0, 1.0])}
UNLABELLED = np.concatenate([np.zeros((3, 3)), [[0.0, 0.0, 1.0]]])
HALF = np.asarray([[0.5, 0.0, 0.5]])
BEHIND, SEEN = np.asarray([[NAN, 1.0, INF, 1.0, -INF]]), np.asarray([[False, True, False, True, False]])
CROSS, BINARY = ax.cross_entropy, ax.binary_cross_entropy_with_logits

# name: function, positional arrays, options, cotangent, gradient along the first array
EDGES = {
    "softmax, all hidden": (ax.softmax, (ROW,), {"where": HIDDEN}, None, np.zeros((1, 4))),
    "log_softmax, all hidden": (ax.log_softmax, (ROW,), {"where": HIDDEN}, None, np.zeros((1, 4))),
    "logsumexp, all hidden": (ax.logsumexp, (ROW,), {"where": HIDDEN, "axis": 1}, None, np.zeros((1, 4))),
    "cross_entropy, all hidden": (CROSS, (ROW, ONE), {"where": HIDDEN, **BOTH}, None, np.zeros((1, 4))),
    "softmax behind a mask": (
        ax.softmax, (BEHIND,), {"where": SEEN}, np.asarray([[NAN, 1.0, INF, 3.0, NAN]]), [[0, -0.5, 0, 0.5, 0]],
    ),
    "log_softmax behind a mask": (
        ax.log_softmax, (BEHIND,), {"where": SEEN}, np.asarray([[NAN, 1.0, INF, 3.0, NAN]]), [[0, -1, 0, 1, 0]],
    ),
    "logsumexp behind a mask": (ax.logsumexp, (BEHIND,), {"where": SEEN}, None, [[0, 0.5, 0, 0.5, 0]]),
    "cross_entropy behind a mask": (CROSS, (BEHIND, ONE), {"where": SEEN}, None, [[0, -0.5, 0, 0.5, 0]]),
    "ignored rows": (CROSS, (TROUBLE, THREE), {"ignore_index": 1, "reduction": "none"}, None, AFTER),
    "ignored rows, mean": (CROSS, (TROUBLE, THREE), {"ignore_index": 1}, None, AFTER),
    "ignored rows of nll_loss": (
        ax.nll_loss, (TROUBLE, THREE), {"ignore_index": 1, "reduction": "sum"}, None, -UNLABELLED,
    ),
    "rows of weight 0": (CROSS, (TROUBLE, THREE), DROPPED, None, AFTER),
    "a class of weight 0": (CROSS, (TROUBLE, THREE), {"weight": np.asarray([1.0, 0.0, 1.0])}, None, AFTER),
    "unlabelled rows": (CROSS, (TROUBLE, UNLABELLED), {}, None, AFTER),
    "all ignored": (CROSS, (TROUBLE, np.asarray([1] * 4)), {"ignore_index": 1}, None, np.zeros((4, 3))),
    "all of weight 0": (CROSS, (TROUBLE, THREE), {"sample_weight": np.zeros(4)}, None, np.zeros((4, 3))),
    "all ignored by nll_loss": (
        ax.nll_loss, (TROUBLE, np.asarray([1] * 4)), {"ignore_index": 1}, None, np.zeros((4, 3)),
    ),
    "all elements of weight 0": (
        BINARY, (TROUBLE, np.ones((4, 3))), {"sample_weight": np.zeros((4, 1))}, None, np.zeros((4, 3)),
    ),
    "weights that cancel": (
        CROSS, (np.asarray([[1.0, 0.0], [0.0, 3.0]]), np.asarray([1, 1])),
        {"sample_weight": np.asarray([1.0, -1.0])}, None, np.zeros((2, 2)),
    ),
    "logsumexp of all -inf": (ax.logsumexp, (np.full((2, 2), -INF),), {"axis": 1}, None, np.zeros((2, 2))),
    "logsumexp of +inf": (ax.logsumexp, (np.asarray([INF, 0.0]),), {}, None, [NAN, NAN]),
    "a soft target of 0 at -inf": (
        CROSS, (np.asarray([[0.0, -INF, 0.0]]), np.asarray([[0.25, 0.0, 0.75]])), {}, None, [[0.25, 0, -0.25]],
    ),
    "a target that the mask hides": (
        CROSS, (np.asarray([[0.0, 5.0, 0.0]]), ONE), {"where": np.asarray([[True, False, True]])}, None,
        [[0.5, 0, 0.5]],
    ),
    "infinite logits that agree": (BINARY, (np.asarray([INF, -INF]), np.asarray([1.0, 0.0])), {}, None, [0, 0]),
    "infinite logits that disagree": (
        BINARY, (np.asarray([INF, -INF]), np.asarray([0.0, 1.0])), {"reduction": "sum"}, None, [1, -1],
    ),
    "contains NaN": (
        CROSS, (np.asarray([[NAN, 0.0], [0.0, 0.0]]), np.asarray([1, 1])), {"reduction": "sum"}, None,
        [[NAN, NAN], [0.5, -0.5]],
    ),
    "contains +inf": (ax.softmax, (np.asarray([[INF, 0.0]]),), {}, None, [[NAN, NAN]]),
    "one class": (CROSS, (np.asarray([[3.0]]), np.asarray([0])), {}, None, [[0]]),
    "no samples": (CROSS, (np.zeros((0, 3)), np.zeros(0, dtype=int)), {}, None, np.zeros((0, 3))),
    "an empty axis": (ax.logsumexp, (np.zeros((2, 0)),), {"axis": 1}, None, np.zeros((2, 0))),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges(target, dtype, name):
    fun, args, options, cotangent, expected = EDGES[name]
    _, found = on(target, fun, args, options, dtype, cotangent)
    rough = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 2e-7)
    assert np.allclose(found[0], expected, rtol=rough, atol=0, equal_nan=True)


def test_a_soft_target_of_0_at_minus_inf_has_a_finite_derivative(target, dtype):
    fun, args, options, *_ = EDGES["a soft target of 0 at -inf"]
    _, found = on(target, fun, args, options, dtype)
    assert np.all(np.isfinite(found[1]))


def test_the_derivative_along_a_target_of_0_is_the_loss_that_it_would_let_in(target, dtype):
    """An unlabelled row is dropped, but not the derivative along its labels; unless what is in it is not finite."""
    x, t = np.asarray([[0.0, 1.0], [NAN, 0.0], [2.0, 2.0]]), np.asarray([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    _, found = on(target, CROSS, (x, t), {"reduction": "sum"}, dtype)
    assert np.allclose(found[1], [[1.3132617, 0.3132617], [0.0, 0.0], [0.6931472, 0.6931472]], rtol=1e-2)
    assert np.array_equal(found[0][:2], np.zeros((2, 2)))


@pytest.mark.backends(fits=lambda backend: backend.name != "dask")
def test_a_class_that_does_not_exist(target):
    """An error before anything runs where the host can see it; on a device NaN in the loss and in its row."""
    x, t = target.array(np.zeros((3, 3)), "float32"), target.array([0, 7, 1], "int")
    if target.device_name == "cpu":
        with pytest.raises(IndexError, match=r"cross_entropy: targets holds class 7 at \(1,\)"):
            ax.vjp(ax.cross_entropy, x, t)
        return
    y, pullback = ax.vjp(ax.cross_entropy, x, t, reduction="none")
    assert np.array_equal(np.isnan(target.numpy(y)), [False, True, False])
    gradient = target.numpy(pullback(target.xp.ones_like(y))[0])
    assert np.array_equal(np.isnan(gradient), [[False] * 3, [True] * 3, [False] * 3])


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_a_class_that_does_not_exist_is_an_error_when_its_gradient_is_computed(target):
    x, t = target.array(np.zeros((3, 3)), "float32"), target.array([0, 7, 1], "int")
    for options in ({}, {"where": target.array([[True, True, False]], "bool")}):
        y, pullback = ax.vjp(ax.cross_entropy, x, t, reduction="none", **options)
        gradient = pullback(target.xp.ones_like(y))[0]
        with pytest.raises(IndexError, match=r"targets holds class 7 at \(1,\), but there are 3 classes"):
            target.numpy(gradient)


# What is promised besides ---------------------------------------------------------------------------------------------


def test_a_dominant_class_keeps_its_digits(target):
    """Against a cotangent of that class alone: with others, their terms are larger than what could be lost."""
    x, rest = np.asarray([[0.0, -40.0]]), 4.248354255291589e-18
    _, found = on(target, CROSS, (x, np.asarray([0])), {})
    assert np.allclose(found[0], [[-rest, rest]], rtol=1e-14, atol=0)
    for fun in (ax.softmax, ax.log_softmax):
        _, found = on(target, fun, (x,), {}, cotangent=np.asarray([[1.0, 0.0]]))
        assert np.allclose(found[0], [[rest, -rest]], rtol=1e-14, atol=0)


def test_the_same_array_twice(target):
    """Each of its two places has a cotangent of its own."""
    p = target.array(SOFT, "float64")
    y, pullback = ax.vjp(ax.cross_entropy, p, p)
    once, twice = pullback(target.xp.ones_like(y)), on(target, ax.cross_entropy, (SOFT, SOFT.copy()), {})[1]
    for a, b in zip(once, twice, strict=True):
        assert np.array_equal(target.numpy(a), b)
    assert not np.array_equal(*twice)


def test_a_pullback_may_be_called_again_and_changes_nothing(target):
    x, t, g = target.array(X, "float32"), target.array(SOFT, "float32"), target.array(FACTOR, "float32")
    y, pullback = ax.vjp(ax.cross_entropy, x, t, reduction="none", sample_weight=g)
    before = [np.array(target.numpy(a)) for a in (x, t, g, y)]
    first = [target.numpy(d) for d in pullback(g)]
    again = [target.numpy(d) for d in pullback(g)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a, target.numpy(b)) for a, b in zip(before, (x, t, g, y), strict=True))


def test_dtypes_of_value_and_gradient(target, dtype):
    """The gradient has the dtype of its array, through every cast on the way."""
    x, t = target.array(X, dtype), target.array(LABELS, "int")
    wide = target.xp.float64
    for options in ({}, {"dtype": wide}, {"dtype": target.xp.float32}):
        y, pullback = ax.vjp(ax.softmax, x, **options)
        assert y.dtype == options.get("dtype", x.dtype)
        assert pullback(y)[0].dtype == x.dtype
        loss, gradient = ax.value_and_grad(ax.cross_entropy)(x, t, **options)
        assert loss.dtype == ax.cross_entropy(x, t, **options).dtype
        assert gradient.dtype == x.dtype
    y, pullback = ax.vjp(ax.cross_entropy, x, target.array(SOFT, "float64"))
    assert [str(d.dtype)[-7:] for d in pullback(y)] == [str(x.dtype)[-7:], "float64"]


def test_integers_and_booleans_have_no_cotangent(target):
    for kind in ("int32", "bool"):
        y, pullback = ax.vjp(ax.softmax, target.array([[1, 0, 1]], kind))
        assert pullback(y) == (None,)
    y, pullback = ax.vjp(
        ax.binary_cross_entropy_with_logits, target.array([1, 0], "int32"), target.array([0.5, 1.0], "float32")
    )
    none, g = pullback(target.xp.ones_like(y))
    assert none is None
    assert np.allclose(target.numpy(g), [-0.5, 0.0])


def test_cotangents_of_any_real_dtype(target):
    y, pullback = ax.vjp(ax.softmax, target.array(X, "float32"))
    (ones,) = pullback(target.array(np.eye(3, 4), "float32"))
    for kind in ("float64", "int32", "bool"):
        (d,) = pullback(target.array(np.eye(3, 4), kind))
        assert d.dtype == y.dtype
        assert np.array_equal(target.numpy(d), target.numpy(ones))


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_numpy_arrays_of_every_kind(target):
    """Read-only, strided, Fortran-ordered, byte-swapped and of a subclass; the gradient is a plain array."""
    expected = ax.vjp(ax.log_softmax, X)[1](X)[0]
    fixed = X.copy()
    fixed.flags.writeable = False
    for x in (fixed, np.repeat(X, 2, axis=1)[:, ::2], np.asfortranarray(X), X.astype(">f8"), X.view(np.recarray)):
        y, pullback = ax.vjp(ax.log_softmax, x)
        (d,) = pullback(fixed)
        assert type(y) is type(d) is np.ndarray
        assert np.allclose(d, expected, rtol=1e-15)
    value, gradient = ax.value_and_grad(ax.logsumexp)(fixed)
    assert type(value) is type(gradient) is np.ndarray
    value, gradient = ax.value_and_grad(ax.sigmoid)(np.asarray(1.0))
    assert type(value) is type(gradient) is np.ndarray
    y, pullback = ax.vjp(ax.softmax, np.zeros(2, dtype=np.float32))
    pullback(np.asarray([1e300, 0.0]))  # too large for float32: no warning, as in the functions themselves


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
@pytest.mark.parametrize("name", CASES)
def test_dask_stays_lazy(target, name):
    import dask

    def forbidden(*args, **kwargs):
        raise AssertionError("a lazy graph was computed")

    fun, args, options = CASES[name]
    with dask.config.set(scheduler=forbidden):
        y, pullback = ax.vjp(fun, *(made(target, a) for a in args), **{k: made(target, v) for k, v in options.items()})
        pullback(target.xp.ones_like(y))


@pytest.mark.backends(fits=lambda backend: backend.name == "array_api_strict")
@pytest.mark.parametrize("name", CASES)
def test_the_standard_at_its_strictest(target, name):
    import array_api_strict

    fun, args, options = CASES[name]
    with array_api_strict.ArrayAPIStrictFlags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    ):
        on(target, fun, args, options)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_torch_goes_on_differentiating(target):
    """The value is part of the graph of its arrays, and the pullback can be differentiated."""
    import torch

    x = target.array(X, "float64").requires_grad_()
    g = target.array(X[::-1], "float64").requires_grad_()
    y, _ = ax.vjp(ax.log_softmax, x)
    y[0, 0].backward(retain_graph=True)
    assert torch.allclose(x.grad[0], torch.eye(4, dtype=x.dtype, device=x.device)[0] - ax.softmax(x)[0])
    assert torch.autograd.gradcheck(lambda x, g: ax.vjp(ax.log_softmax, x)[1](g)[0], (x, g))


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jax_goes_on_transforming(target):
    import jax
    from jax.test_util import check_grads

    x, g = target.array(X, "float64"), target.array(X[::-1], "float64")
    twice = lambda x, g: ax.vjp(ax.log_softmax, x)[1](g)[0]
    check_grads(twice, (x, g), order=1)
    assert np.allclose(jax.jit(twice)(x, g), twice(x, g), rtol=1e-14)
    t = target.array(LABELS, "int")
    value, gradient = jax.jit(ax.value_and_grad(ax.cross_entropy))(x, t)
    assert np.allclose(gradient, jax.grad(ax.cross_entropy)(x, t), rtol=1e-14)
    rows = jax.vmap(ax.value_and_grad(ax.cross_entropy))(x, t)[1]
    assert np.allclose(rows / 3, gradient, rtol=1e-14)
    assert np.array_equal(np.asarray(ax.value_and_grad(ax.cross_entropy)(x, LABELS)[0]), np.asarray(value))
    assert isinstance(ax.vjp(ax.softmax, x)[1](X.astype(">f8"))[0], jax.Array)


# Rules ----------------------------------------------------------------------------------------------------------------

CLASSES = {"axis": 1, "ignore_index": None}
LOSS = {**CLASSES, "label_smoothing": 0.2, "z_loss": 0.3}
G3, G34 = np.random.default_rng(6).normal(size=3), np.random.default_rng(7).normal(size=(3, 4))
# op, arrays, options, where each of the arrays stands that varies
RULES = {
    **{name: (op, (X,), {}, (0,)) for name, op in OPS.items() if op.inputs == ("x",)},
    **{name: (OPS[name], (X, MASK), {"axis": (1,)}, (0,)) for name in ("softmax", "log_softmax", "logsumexp")},
    "softmax, 0 if empty": (OPS["softmax"], (X, HIDDEN[0]), {"axis": (0, 1), "zero_if_empty": True}, (0,)),
    "nll_loss": (OPS["nll_loss"], (X, LABELS, WEIGHT, FACTOR), CLASSES, (0, 2, 3)),
    "cross_entropy": (OPS["cross_entropy"], (X, LABELS, WEIGHT, FACTOR, MASK), LOSS, (0, 2, 3)),
    "cross_entropy of probabilities": (OPS["cross_entropy"], (X, SOFT, WEIGHT, FACTOR, None), LOSS, (0, 1, 2, 3)),
    "logit_gradient": (LOGIT_GRADIENT, (X, LABELS, WEIGHT, FACTOR, MASK), LOSS, (0, 2, 3)),
    "logit_gradient of probabilities": (LOGIT_GRADIENT, (X, SOFT, WEIGHT, FACTOR, None), LOSS, (0, 1, 2, 3)),
    "binary_cross_entropy_with_logits": (
        OPS["binary_cross_entropy_with_logits"], (X, SOFT, WEIGHT, FACTOR[:, None]), {}, (0, 1, 2, 3),
    ),
    "weights": (WEIGHTS, (X, SOFT, WEIGHT, FACTOR), {**LOSS}, (1, 2, 3)),
    "binary_weights": (BINARY_WEIGHTS, (X, SOFT, WEIGHT, FACTOR[:, None]), {}, (3,)),
    "reduction, mean": (REDUCTION, (G3, FACTOR), {"mean": True}, (0, 1)),
    "reduction, sum": (REDUCTION, (G34, None), {"mean": False}, (0,)),
}  # fmt: skip


def test_every_op_is_here():
    import gc

    from axisoft._core.op import Op

    every = {op.name for op in gc.get_objects() if type(op) is Op}
    # That of a layer is cut into tiles of others: tests/test_linear.py.
    assert every - {"linear_cross_entropy"} == {op.name for op, *_ in RULES.values()}


@pytest.mark.parametrize("kind", ["float32", "float64"])  # what ops compute in
@pytest.mark.parametrize("name", RULES)
def test_the_two_rules_of_an_op_are_transposes(target, name, kind):
    """``<jvp(t), g> == <t, vjp(g)>``, along each array alone and along all at once, with random t and g."""
    op, arrays, options, varying = RULES[name]
    xp, do = target.xp, by_formula(target.xp)
    arrays = tuple(made(target, a, kind) for a in arrays)
    y = op.formula(*arrays, xp=xp, **options)
    random = np.random.default_rng(9)
    for places in [*((i,) for i in varying), varying]:
        wanted = tuple(i in places for i in range(len(arrays)))
        tangents = [
            target.array(random.normal(size=tuple(arrays[i].shape)), kind) if w else None for i, w in enumerate(wanted)
        ]
        g = target.array(random.normal(size=tuple(y.shape)), kind)
        if name == "log_softmax":  # -inf is no value to have a tangent
            g = xp.where(arrays[1], g, xp.zeros_like(g))
        forward = target.numpy(op.jvp(tuple(tangents), y, arrays, do, xp, **options))
        backward = op.vjp(g, y, arrays, wanted, do, xp, **options)
        assert all(b.shape == a.shape for a, b, w in zip(arrays, backward, wanted, strict=True) if w)
        left = np.sum(forward * target.numpy(g))
        parts = [target.numpy(t) * target.numpy(b) for t, b in zip(tangents, backward, strict=True) if t is not None]
        right = sum(float(np.sum(part)) for part in parts)
        size = np.sum(np.abs(forward * target.numpy(g))) + sum(float(np.sum(np.abs(part))) for part in parts)
        assert abs(left - right) <= size * {"float32": 4e-6, "float64": 1e-14}[kind], places


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy", "sigmoid"])
def test_the_gradient_of_a_half_precision_array_is_that_of_float32_rounded_once(target, dtype, name):
    if dtype in ("float32", "float64"):
        return
    x = target.numpy(target.array(X, dtype))  # the same numbers in both
    args, options = ((x, LABELS), {"reduction": "none"}) if name == "cross_entropy" else ((x,), {})
    fun = getattr(ax, name)
    cotangent = np.ones(3) if name == "cross_entropy" else target.numpy(target.array(G34, dtype))
    half, single = (on(target, fun, args, options, d, cotangent)[1][0] for d in (dtype, "float32"))
    assert np.array_equal(half, target.numpy(target.array(single, dtype)))
