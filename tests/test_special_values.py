"""The table of special values, row by row: values on every backend, gradients where the library has them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import differentiates, forward_gradient, gradient

import axisoft

INF, NAN = np.inf, np.nan
CONFIDENT = [0.0, -1.0, 2.0]


def same(a, b):
    return np.array_equal(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), equal_nan=True)


# slice, softmax, log_softmax, logsumexp, gradient of logsumexp
ROWS = {
    "contains NaN": ([0.0, NAN, 1.0], [NAN] * 3, [NAN] * 3, NAN, [NAN] * 3),
    "contains +inf": ([0.0, INF, -INF], [NAN] * 3, [NAN] * 3, INF, [NAN] * 3),
    "all -inf": ([-INF] * 3, [NAN] * 3, [NAN] * 3, -INF, [0.0] * 3),
    "some -inf": ([7.0, -INF, -INF], [1.0, 0.0, 0.0], [0.0, -INF, -INF], 7.0, [1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("row", ROWS)
def test_softmax_family(target, dtype, row):
    x, softmax, log_softmax, logsumexp, _ = ROWS[row]
    x = target.array([x], dtype)
    assert same(target.numpy(axisoft.softmax(x)), [softmax])
    assert same(target.numpy(axisoft.log_softmax(x)), [log_softmax])
    assert same(target.numpy(axisoft.logsumexp(x, axis=-1)), [logsumexp])


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("row", ROWS)
def test_logsumexp_gradient(target, dtype, row):
    x, *_, expected = ROWS[row]
    assert same(gradient(target, lambda x: axisoft.logsumexp(x, axis=-1), target.array([x], dtype)), [expected])


@pytest.mark.parametrize("count", [5, 100])
def test_what_a_mask_leaves_is_a_slice_of_its_own(target, count):
    rng = np.random.default_rng(count)
    values, where = rng.normal(size=(1, count)) * 3, rng.random((1, count)) < 0.5
    for row in (values, values + 30 * (np.arange(count) == np.argmax(where))):
        x, left = target.array(row, "float64"), target.array(row[where][None], "float64")
        for function in (axisoft.softmax, axisoft.log_softmax):
            got = target.numpy(function(x, where=target.array(where, "bool")))
            assert np.allclose(got[where][None], target.numpy(function(left)), rtol=1e-14, atol=1e-300)


def test_slice_that_the_mask_hides(target, dtype):
    x, where = target.array([[NAN, INF, 1.0]], dtype), target.array([[False] * 3], "bool")
    assert same(target.numpy(axisoft.softmax(x, where=where)), [[0.0] * 3])
    assert same(target.numpy(axisoft.log_softmax(x, where=where)), [[-INF] * 3])
    assert same(target.numpy(axisoft.logsumexp(x, where=where, axis=-1)), [-INF])
    loss = axisoft.cross_entropy(x, target.array([1], "int"), where=where, reduction="none")
    assert same(target.numpy(loss), [INF])


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_slice_that_the_mask_hides_has_gradient_0(target, dtype, label_smoothing):
    x, where = target.array([[NAN, INF, 1.0]], dtype), target.array([[False] * 3], "bool")
    t = target.array([1], "int")
    for fun in (
        lambda x: axisoft.softmax(x, where=where),
        lambda x: axisoft.log_softmax(x, where=where),
        lambda x: axisoft.logsumexp(x, where=where, axis=-1),
        lambda x: axisoft.cross_entropy(x, t, where=where, label_smoothing=label_smoothing),
    ):
        assert same(gradient(target, fun, x), [[0.0] * 3])


@pytest.mark.backends(fits=differentiates)
def test_nothing_behind_the_mask_reaches_a_gradient(target, dtype):
    hidden, shown = [NAN, 1.0, INF, 0.5, -INF], [0.0, 1.0, 0.0, 0.5, 0.0]
    mask = [False, True, False, True, False]
    where, t = target.array([mask], "bool"), target.array([1], "int")
    for fun in (
        lambda x: axisoft.softmax(x, where=where) * target.array([[1.0, 2.0, 3.0, 4.0, 5.0]], dtype),
        lambda x: target.xp.where(where, axisoft.log_softmax(x, where=where), 0.0),
        lambda x: axisoft.logsumexp(x, where=where, axis=-1),
        lambda x: axisoft.cross_entropy(x, t, where=where, label_smoothing=0.2, z_loss=0.1),
    ):
        got = gradient(target, fun, target.array([hidden], dtype))
        assert np.all(np.isfinite(got))
        assert np.all(got[0][~np.asarray(mask)] == 0)
        assert same(got, gradient(target, fun, target.array([shown], dtype)))


@pytest.mark.host  # on a device it would take three passes more: there all of the slice is NaN but what a mask hides
@pytest.mark.backends(fits=differentiates)
def test_a_probability_of_0_has_gradient_0_beside_nan(target, dtype):
    x, g = target.array([[1.0, -INF, 2.0]], dtype), target.array([[NAN, 1.0, 1.0]], dtype)
    assert same(gradient(target, lambda x: axisoft.softmax(x) * g, x), [[NAN, 0.0, NAN]])


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_probability_of_0_has_gradient_0_whatever_its_cotangent(target, dtype, bad):
    """Nor does that reach what is beside it; of logsumexp, it is the whole slice's."""
    x, g = target.array([[1.0, -INF, 1.0]], dtype), target.array([[2.0, bad, 1.0]], dtype)
    assert same(gradient(target, axisoft.softmax, x, cotangent=g), [[0.25, 0.0, -0.25]])
    g = target.array([bad, 1.0], dtype)
    x = target.array([[1.0, -INF, 1.0], [2.0, -INF, 2.0]], dtype)
    got = gradient(target, lambda x: axisoft.logsumexp(x, axis=-1), x, cotangent=g)
    assert same(got, [[bad, 0.0, bad], [0.5, 0.0, 0.5]])


@pytest.mark.backends(fits=differentiates)
def test_what_a_mask_hides_has_gradient_0_beside_nan(target, dtype):
    x, g = target.array([[1.0, 5.0, 2.0]], dtype), target.array([[NAN, 1.0, 1.0]], dtype)
    where = target.array([[True, False, True]], "bool")
    for function in (axisoft.softmax, axisoft.log_softmax):
        fun = lambda x, function=function: function(x, where=where)
        assert same(gradient(target, fun, x, cotangent=g), [[NAN, 0.0, NAN]])


def test_no_elements(target, dtype):
    empty = target.array(np.zeros((2, 0)), dtype)
    assert axisoft.softmax(empty).shape == (2, 0)
    assert axisoft.log_softmax(empty).shape == (2, 0)
    assert same(target.numpy(axisoft.logsumexp(empty, axis=-1)), [-INF, -INF])
    none = target.array(np.zeros((0, 2)), dtype)
    assert axisoft.softmax(none).shape == (0, 2)
    assert axisoft.logsumexp(none, axis=1).shape == (0,)
    labels = target.array(np.zeros((0,)), "int")
    assert axisoft.cross_entropy(none, labels, reduction="none").shape == (0,)
    assert same(target.numpy(axisoft.cross_entropy(none, labels)), 0.0)
    assert same(target.numpy(axisoft.cross_entropy(none, none)), 0.0)
    assert same(target.numpy(axisoft.binary_cross_entropy_with_logits(none, none)), 0.0)
    assert same(target.numpy(axisoft.nll_loss(none, labels)), 0.0)


@pytest.mark.backends(fits=differentiates)
def test_no_elements_have_gradients(target, dtype):
    none, labels = target.array(np.zeros((0, 2)), dtype), target.array(np.zeros((0,)), "int")
    for fun in (
        axisoft.softmax,
        axisoft.log_softmax,
        lambda x: axisoft.logsumexp(x, axis=-1),
        lambda x: axisoft.cross_entropy(x, labels),
        lambda x: axisoft.cross_entropy(x, x),
        lambda x: axisoft.nll_loss(x, labels),
        lambda x: axisoft.binary_cross_entropy_with_logits(x, x),
    ):
        assert gradient(target, fun, none).shape == (0, 2)


def test_one_element(target, dtype):
    x = target.array([[3.0], [-1e4]], dtype)
    assert same(target.numpy(axisoft.softmax(x)), [[1.0], [1.0]])
    assert same(target.numpy(axisoft.log_softmax(x)), [[0.0], [0.0]])
    assert same(target.numpy(axisoft.logsumexp(x, axis=-1)), target.numpy(x)[:, 0])
    assert same(target.numpy(axisoft.cross_entropy(x, target.array([0, 0], "int"), reduction="none")), [0.0, 0.0])


CROSS_ENTROPY = {
    "contains NaN": ([NAN, 0.0, 1.0], 1, NAN),
    "contains +inf": ([INF, 0.0, 1.0], 1, NAN),
    "+inf at the target": ([INF, 0.0, 1.0], 0, NAN),
    "all -inf": ([-INF] * 3, 1, NAN),
    "some -inf": ([-INF, 5.0, -INF], 1, 0.0),
    "the target at -inf": ([-INF, 5.0, -INF], 0, INF),
}


@pytest.mark.parametrize("row", CROSS_ENTROPY)
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy(target, dtype, row, soft):
    x, label, expected = CROSS_ENTROPY[row]
    labels = target.array(np.eye(3)[[label]], dtype) if soft else target.array([label], "int")
    loss = axisoft.cross_entropy(target.array([x], dtype), labels, reduction="none")
    assert same(target.numpy(loss), [expected])


def test_no_classes_is_an_error(target, dtype):
    with pytest.raises(ValueError, match="has no classes along axis 1"):
        axisoft.cross_entropy(target.array(np.zeros((2, 0)), dtype), target.array([0, 0], "int"))


def test_soft_target_of_0_at_a_logit_of_minus_inf_adds_0(target, dtype):
    x, t = target.array([[0.0, -INF, 0.0]], dtype), target.array([[0.5, 0.0, 0.5]], dtype)
    assert abs(target.numpy(axisoft.cross_entropy(x, t)) - np.log(2)) < 1e-6


@pytest.mark.backends(fits=differentiates)
def test_soft_target_of_0_at_a_logit_of_minus_inf_adds_0_to_every_derivative(target, dtype):
    x, t = target.array([[0.0, -INF, 0.0]], dtype), target.array([[0.25, 0.0, 0.75]], dtype)
    assert same(gradient(target, axisoft.cross_entropy, x, t), [[0.25, 0.0, -0.25]])
    by_target = gradient(target, axisoft.cross_entropy, x, t, index=1)
    assert np.all(np.isfinite(by_target))
    tangent = target.array([[1.0, 1.0, 2.0]], dtype)
    assert same(forward_gradient(target, lambda x: axisoft.cross_entropy(x, t), x, tangent), -0.25)


def test_target_that_the_mask_hides_costs_inf(target, dtype):
    x, where = target.array([[0.0, 1.0, 2.0]], dtype), target.array([[True, False, True]], "bool")
    assert same(target.numpy(axisoft.cross_entropy(x, target.array([1], "int"), where=where)), INF)
    soft = target.array([[0.5, 0.5, 0.0]], dtype)
    assert same(target.numpy(axisoft.cross_entropy(x, soft, where=where)), INF)


DROPS = {
    "ignore_index": {"ignore_index": 1},
    "sample_weight": {"sample_weight": [0.0, 0.0, 0.0, 2.0]},
    "weight": {"weight": [1.0, 0.0, 1.0]},
    "ignore_index and smoothing": {"ignore_index": 1, "label_smoothing": 0.1, "z_loss": 0.1},
    "weight and smoothing": {"weight": [1.0, 0.0, 1.0], "label_smoothing": 0.1, "z_loss": 0.1},
    "unlabelled probabilities": {"soft": True},
}


def dropped(target, dtype, how):
    """Three rows of nothing but trouble that are dropped, and one that counts: logits, targets and options."""
    options = dict(DROPS[how])
    x = target.array([[NAN, INF, 0.0], [-INF] * 3, [INF, INF, -INF], CONFIDENT], dtype)
    t = target.array([1, 1, 1, 2], "int")
    if options.pop("soft", False):
        t = target.array([[0.0] * 3] * 3 + [[0.0, 0.0, 1.0]], dtype)
    for name in ("weight", "sample_weight"):
        if name in options:
            options[name] = target.array(options[name], dtype)
    return x, t, options


@pytest.mark.parametrize("how", DROPS)
def test_dropped_samples_do_not_count(target, dtype, how):
    x, t, options = dropped(target, dtype, how)
    losses = target.numpy(axisoft.cross_entropy(x, t, reduction="none", **options))
    assert same(losses[:3], [0.0] * 3)
    one = axisoft.cross_entropy(x[3:, ...], t[3:, ...], reduction="none", **keep_last(options))
    assert same(losses[3:], target.numpy(one))
    mean = axisoft.cross_entropy(x[3:, ...], t[3:, ...], **keep_last(options))
    assert same(target.numpy(axisoft.cross_entropy(x, t, **options)), target.numpy(mean))


def keep_last(options):
    return {name: value[3:] if name == "sample_weight" else value for name, value in options.items()}


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("how", DROPS)
def test_dropped_samples_have_gradient_0(target, dtype, how, reduction):
    x, t, options = dropped(target, dtype, how)
    fun = lambda x: axisoft.cross_entropy(x, t, reduction=reduction, **options)
    got = gradient(target, fun, x)
    assert same(got[:3], np.zeros((3, 3)))
    assert np.all(np.isfinite(got[3]))
    assert np.any(got[3] != 0)
    tangent = target.array(np.ones((4, 3)), dtype)
    assert np.all(np.isfinite(forward_gradient(target, fun, x, tangent)))


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_dropped_samples_reach_no_gradient_of_the_weights(target, dtype, reduction):
    x, t, options = dropped(target, dtype, "sample_weight")
    weight = target.array([1.0, 2.0, 3.0], dtype)
    fun = lambda weight, factor: axisoft.cross_entropy(x, t, weight=weight, sample_weight=factor, reduction=reduction)
    for index in (0, 1):
        assert np.all(np.isfinite(gradient(target, fun, weight, options["sample_weight"], index=index)))


@pytest.mark.backends(fits=differentiates)
def test_a_weight_of_0_has_the_derivative_of_what_is_finite(target, dtype):
    """It is the loss that the weight would let in, but 0 where that is not finite."""
    x, labels = target.array([-INF, NAN, 0.0], dtype), target.array([1.0, 1.0, 1.0], dtype)
    binary = axisoft.binary_cross_entropy_with_logits
    fun = lambda weight: binary(x, labels, sample_weight=weight, reduction="sum")
    got = gradient(target, fun, target.array([0.0] * 3, dtype))
    assert same(got[:2], [0.0, 0.0])
    assert abs(got[2] - np.log(2.0)) < 1e-2


def test_all_dropped_mean_is_0(target, dtype):
    x, t = target.array([[NAN, 0.0], [-INF, -INF]], dtype), target.array([1, 1], "int")
    zeros, ones = target.array([0.0, 0.0], dtype), target.array(np.ones((2, 2)), dtype)
    assert same(target.numpy(axisoft.cross_entropy(x, t, ignore_index=1)), 0.0)
    assert same(target.numpy(axisoft.cross_entropy(x, t, sample_weight=zeros)), 0.0)
    assert same(target.numpy(axisoft.cross_entropy(x, t, weight=zeros)), 0.0)
    assert same(target.numpy(axisoft.nll_loss(x, t, ignore_index=1)), 0.0)
    assert same(target.numpy(axisoft.binary_cross_entropy_with_logits(x, ones, sample_weight=zeros)), 0.0)


def test_weights_that_cancel_give_a_mean_of_0(target, dtype):
    x, t = target.array([[1.0, 0.0], [0.0, 3.0]], dtype), target.array([1, 1], "int")
    factor = target.array([1.0, -1.0], dtype)
    assert same(target.numpy(axisoft.cross_entropy(x, t, sample_weight=factor)), 0.0)
    assert target.numpy(axisoft.cross_entropy(x, t, sample_weight=factor, reduction="sum")) > 1.0


@pytest.mark.backends(fits=differentiates)
def test_all_dropped_mean_has_gradient_0(target, dtype):
    x, t = target.array([[NAN, 0.0], [-INF, -INF]], dtype), target.array([1, 1], "int")
    zeros = target.array([0.0, 0.0], dtype)
    for fun in (
        lambda x: axisoft.cross_entropy(x, t, ignore_index=1),
        lambda x: axisoft.cross_entropy(x, t, sample_weight=zeros),
        lambda x: axisoft.nll_loss(x, t, ignore_index=1),
        lambda x: axisoft.binary_cross_entropy_with_logits(
            x, target.array(np.ones((2, 2)), dtype), sample_weight=zeros
        ),
    ):
        assert same(gradient(target, fun, x), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("x", "label", "expected"),
    [(INF, 1.0, 0.0), (-INF, 0.0, 0.0), (INF, 0.0, INF), (-INF, 1.0, INF), (INF, 0.5, INF), (NAN, 1.0, NAN)],
)
def test_binary_cross_entropy_at_infinite_logits(target, dtype, x, label, expected):
    loss = axisoft.binary_cross_entropy_with_logits(target.array([x], dtype), target.array([label], dtype))
    assert same(target.numpy(loss), expected)


@pytest.mark.backends(fits=differentiates)
@pytest.mark.parametrize(
    ("x", "label", "expected"), [(INF, 1.0, 0.0), (-INF, 0.0, 0.0), (INF, 0.0, 1.0), (-INF, 1.0, -1.0)]
)
def test_binary_cross_entropy_gradient_at_infinite_logits(target, dtype, x, label, expected):
    t = target.array([label], dtype)
    fun = lambda x: axisoft.binary_cross_entropy_with_logits(x, t)
    assert same(gradient(target, fun, target.array([x], dtype)), [expected])


def test_a_class_that_does_not_exist_is_an_index_error_in_the_hosts_memory_and_nan_on_a_device(target):
    if target.device_name == "cpu":
        check_index_error(target)
    else:
        check_nan(target, lambda fun, *arrays: fun(*arrays))


def check_index_error(target):
    """A lazy library's when it computes."""
    x = target.array(np.zeros((2, 3)), "float32")
    for value in (3, -1, -100, 255):
        text = rf"cross_entropy: targets holds class {value} at \(1,\), but there are 3 classes; "
        with pytest.raises(IndexError, match=text):
            target.numpy(axisoft.cross_entropy(x, target.array([0, value], "int")))
        with pytest.raises(IndexError, match=f"nll_loss: targets holds class {value}"):
            target.numpy(axisoft.nll_loss(x, target.array([0, value], "int")))
        target.numpy(axisoft.cross_entropy(x, target.array([0, value], "int"), ignore_index=value))


def check_nan(target, call):
    x = target.array(np.zeros((3, 3)), "float32")
    for value in (3, -1, -100, 255):
        t = target.array([0, value, 1], "int")
        for options in ({}, {"label_smoothing": 0.1}, {"ignore_index": 1}):
            losses = call(lambda x, t, o=options: axisoft.cross_entropy(x, t, reduction="none", **o), x, t)
            losses = target.numpy(losses)
            assert np.isnan(losses[1])
            assert np.all(np.isfinite(losses[[0, 2]]))
            assert np.isnan(target.numpy(call(lambda x, t, o=options: axisoft.cross_entropy(x, t, **o), x, t)))


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.parametrize("weight", [None, [0.0, 1.0, 0.0]])
def test_a_class_that_does_not_exist_spoils_all_of_its_row(target, weight):
    """What a mask hides of it too, whatever the class that is looked up in its place weighs."""
    import torch

    x, t = target.array([[0.0, 1.0, 2.0]] * 2, "float32"), target.array([1, 3], "int")
    where = target.array([False, True, True], "bool")
    weight = None if weight is None else target.array(weight, "float32")
    fun = lambda x, t: axisoft.cross_entropy(x, t, weight=weight, where=where, reduction="sum")
    got = target.numpy(torch.vmap(torch.func.grad(fun))(x, t))
    assert got[0, 0] == 0
    assert np.array_equal(np.isnan(got), [[False] * 3, [True] * 3])


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_a_class_that_does_not_exist_gives_nan_under_vmap(target):
    """In the loss and throughout the row of its gradient, and nowhere else."""
    import torch

    x, t = target.array(np.zeros((3, 3)), "float32"), target.array([0, 7, 1], "int")
    losses = torch.func.vmap(axisoft.cross_entropy)(x, t)
    assert np.array_equal(np.isnan(target.numpy(losses)), [False, True, False])
    rows = torch.func.vmap(torch.func.grad(axisoft.cross_entropy))(x, t)
    assert np.array_equal(np.isnan(target.numpy(rows)), [[False] * 3, [True] * 3, [False] * 3])


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_a_class_that_does_not_exist_gives_nan_under_jit(target):
    import jax

    check_nan(target, lambda fun, *arrays: jax.jit(fun)(*arrays))
    x, t = target.array(np.zeros((3, 3)), "float32"), target.array([0, 7, 1], "int")
    grad = jax.jit(jax.grad(lambda x, t: axisoft.cross_entropy(x, t, reduction="sum")))
    assert np.array_equal(np.isnan(target.numpy(grad(x, t))), [[False] * 3, [True] * 3, [False] * 3])
    where = target.array([[True, False, True]], "bool")
    grad = jax.jit(jax.grad(lambda x, t: axisoft.cross_entropy(x, t, where=where, reduction="sum")))
    assert np.array_equal(np.isnan(target.numpy(grad(x, t))), [[False] * 3, [True] * 3, [False] * 3])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_targets_of_any_integer_dtype(target, kind):
    if not hasattr(target.xp, kind):
        assert target.backend.name == "torch"  # some of its builds have no wide unsigned dtypes
        return
    x = target.array([[1.0, 2.0, 3.0], [3.0, 0.0, 0.0]], "float32")
    loss = axisoft.cross_entropy(x, target.array([2, 0], kind), reduction="none")
    wide = axisoft.cross_entropy(x, target.array([2, 0], "int"), reduction="none")
    assert same(target.numpy(loss), target.numpy(wide))
    kept = axisoft.cross_entropy(x, target.array([2, 0], kind), reduction="none", ignore_index=-100)
    assert same(target.numpy(kept), target.numpy(wide))


@pytest.mark.backends(fits=lambda backend: backend.name == "numpy")
def test_an_unsigned_target_never_wraps_into_the_ignored_class(target):
    x = target.array(np.zeros((1, 3)), "float32")
    for kind, value in (("uint8", 156), ("uint64", 2**64 - 100)):
        with pytest.raises(IndexError, match=f"holds class {value} "):
            axisoft.cross_entropy(x, np.asarray([value], dtype=kind), ignore_index=-100)


def test_an_ignored_class_that_the_dtype_cannot_hold_names_nothing(target):
    x, t = target.array([[1.0, 2.0]], "float32"), target.array([1], "int")
    expected = target.numpy(axisoft.cross_entropy(x, t))
    for value in (-(2**40), 2**40, 2**70, -(2**70)):
        assert same(target.numpy(axisoft.cross_entropy(x, t, ignore_index=value)), expected)


@pytest.mark.backends(fits=lambda backend: backend.name in ("numpy", "jax"))
def test_the_largest_unsigned_number_can_be_ignored(target):
    x = target.array([[1.0, 2.0], [0.0, 0.0]], "float32")
    for kind in ("uint32", "uint64"):
        top = 2 ** int(kind[4:]) - 1
        t = target.xp.asarray(np.asarray([1, top], dtype=kind))
        one = axisoft.cross_entropy(x[:1], t[:1])
        assert same(target.numpy(axisoft.cross_entropy(x, t, ignore_index=top)), target.numpy(one))


@pytest.mark.backends(fits=differentiates)
def test_nan_in_a_tangent_or_cotangent_of_what_is_hidden_stays_there(target):
    """As it is where a function with a pole runs before ours, or after."""
    x, bad = target.array([[1.0, 2.0, 3.0]], "float64"), target.array([[1.0, NAN, 2.0]], "float64")
    good = target.array([[1.0, 0.0, 2.0]], "float64")
    where, t = target.array([[True, False, True]], "bool"), target.array([0], "int")
    for fun in (
        lambda x: axisoft.softmax(x, where=where),
        lambda x: axisoft.log_softmax(x, where=where),
        lambda x: axisoft.logsumexp(x, where=where, axis=-1),
        lambda x: axisoft.cross_entropy(x, t, where=where, label_smoothing=0.1),
    ):
        assert same(forward_gradient(target, fun, x, bad), forward_gradient(target, fun, x, good))
    for fun in (lambda x: axisoft.softmax(x, where=where), lambda x: axisoft.log_softmax(x, where=where)):
        assert same(gradient(target, fun, x, cotangent=bad), gradient(target, fun, x, cotangent=good))
    below, label = target.array([[1.0, -INF, 3.0]], "float64"), target.array([[1.0, 0.0, 1.0]], "float64")
    for fun in (
        axisoft.softmax,
        lambda x: axisoft.logsumexp(x, axis=-1),
        lambda x: axisoft.cross_entropy(x, t),
        lambda x: axisoft.nll_loss(x, t),
        lambda x: axisoft.binary_cross_entropy_with_logits(x, label),
    ):
        assert same(forward_gradient(target, fun, below, bad), forward_gradient(target, fun, below, good))
    x, weight = target.array([[0.0, NAN, 0.0], [1.0, 2.0, 3.0]], "float64"), target.array([0.0, 1.0], "float64")
    twice, labels = target.array([0, 0], "int"), target.array([[1.0, 0.0, 1.0]] * 2, "float64")
    pair = [target.xp.concat([v, good], axis=0) for v in (bad, good)]
    for fun in (
        lambda x: axisoft.cross_entropy(x, twice, sample_weight=weight),
        lambda x: axisoft.binary_cross_entropy_with_logits(x, labels, sample_weight=weight[:, None]),
    ):
        assert same(*(forward_gradient(target, fun, x, v) for v in pair))
    rows = target.array([[NAN, 1.0], [1.0, 2.0]], "float64")
    for labels, how in ([9, 1], {"ignore_index": 9}), ([0, 1], {"sample_weight": weight}):
        labels = target.array(labels, "int")
        fun = lambda x, t=labels, how=how: axisoft.cross_entropy(x, t, reduction="none", **how) ** 0.5
        got = gradient(target, fun, rows)
        assert same(got[0], [0.0, 0.0])
        assert np.all(np.isfinite(got[1]))


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_100_000_equal_half_entries(target, dtype, function):
    x = target.array(np.zeros(100_000), dtype)
    if function == "cross_entropy":
        y = target.numpy(axisoft.cross_entropy(x, target.array(7, "int")))
    else:
        y = target.numpy(getattr(axisoft, function)(x)).reshape(-1)[0]
    expected = {"softmax": 1e-5, "log_softmax": -np.log(1e5)}.get(function, np.log(1e5))
    assert abs(y / expected - 1) < 2 ** -{"float16": 6, "bfloat16": 7}.get(dtype, 20)
