"""The transformations of PyTorch and of JAX go through every function, in any order; or raise."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from helpers import BOTH, CASES, FACTOR, LABELS, MASK, SOFT, WEIGHT, X, made

import axisoft as ax

IN_TORCH = pytest.mark.backends(fits=lambda backend: backend.name == "torch")
IN_JAX = pytest.mark.backends(fits=lambda backend: backend.name == "jax")


def compiles(test):
    """PyTorch's tracer makes instances of Functions and warns of that; and of the caches of array_api_compat."""
    for text in (
        "<class 'torch.autograd.function.Function'> should not be:DeprecationWarning",
        "Dynamo detected a call to a:UserWarning",
    ):
        test = pytest.mark.filterwarnings(f"ignore:{text}")(test)
    return test


# One case per function and what is special to it: the rest of CASES is run through vjp in test_autodiff.
NAMES = [
    "sigmoid",
    "softplus",
    "softmax over two axes, masked",
    "log_softmax",
    "logsumexp, masked and kept",
    "nll_loss, none",
    "mask, smoothing, mean",
    "indices, z-loss, none",
    "probabilities, smoothing, mean",
    "binary",
]
# Ties, where a formula that is traced through has another derivative; and the largest element is not the first.
TIED = np.asarray([[1.0, 1.0, 1.0, 0.0], [2.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])


def alone(target, name):
    """The case as a function of its first array, and that array; not linear in it, whatever the case."""
    fun, args, options = CASES[name]
    rest = [made(target, a) for a in args[1:]]
    options = {k: made(target, v) for k, v in options.items()}
    return lambda x: fun(x, *rest, **options) ** 2, made(target, args[0])


def jacobian(fun, x):
    """Of a NumPy-valued function by central differences, results first."""
    columns = []
    for i in np.ndindex(*x.shape):
        column = 0.0
        for k, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
            moved = np.zeros_like(x)
            moved[i] = k * 1e-3
            column = column + weight * (fun(x + moved) - fun(x - moved)) / 60e-3
        columns.append(column)
    y = columns[0]
    return np.stack(columns, axis=-1).reshape(y.shape + x.shape)


def of_numpy(target, fun):
    return lambda v: target.numpy(fun(target.array(v, "float64")))


# PyTorch --------------------------------------------------------------------------------------------------------------


@IN_TORCH
@pytest.mark.parametrize("name", NAMES)
def test_torch_func(target, name):
    import torch

    fun, x = alone(target, name)
    func = torch.func
    first = jacobian(of_numpy(target, fun), target.numpy(x))
    for by in (func.jacrev, func.jacfwd):
        assert np.allclose(target.numpy(by(fun)(x)), first, rtol=1e-7, atol=1e-9)
    v = target.array(np.random.default_rng(0).normal(size=x.shape), "float64")
    y, forward = func.jvp(fun, (x,), (v,))
    assert np.allclose(target.numpy(forward), np.tensordot(first, target.numpy(v), x.ndim), rtol=1e-7, atol=1e-9)
    _, pullback = func.vjp(fun, x)
    assert np.allclose(target.numpy(pullback(torch.ones_like(y))[0]), first.reshape(-1, *x.shape).sum(0), atol=1e-9)

    total = lambda x: fun(x).sum()
    second = jacobian(of_numpy(target, func.grad(total)), target.numpy(x))
    orders = itertools.product((func.jacfwd, func.jacrev), repeat=2)
    for outer, inner in orders:  # forward over forward is where PyTorch itself gives 0 for a Function's rule
        assert np.allclose(target.numpy(outer(inner(total))(x)), second, rtol=1e-6, atol=1e-8), (outer, inner)
    assert np.allclose(target.numpy(func.hessian(total)(x)), second, rtol=1e-6, atol=1e-8)
    assert np.allclose(target.numpy(torch.autograd.functional.hessian(total, x)), second, rtol=1e-6, atol=1e-8)
    third = func.jacfwd(func.jacrev(func.jacrev(total)))(x)
    expected = jacobian(of_numpy(target, func.hessian(total)), target.numpy(x))
    assert np.allclose(target.numpy(third), expected, rtol=1e-5, atol=1e-6)


@IN_TORCH
@pytest.mark.parametrize("name", NAMES)
def test_torch_vmap(target, name):
    """Of the function, of its gradient and of its forward derivative, along any axis."""
    import torch

    fun, x = alone(target, name)
    func = torch.func
    many = torch.stack([x, x + 1.0, -x])
    total = lambda x: fun(x).sum()
    for call in (fun, func.grad(total), lambda x: func.jvp(fun, (x,), (x,))[1], func.vmap(ax.softmax)):
        expected = torch.stack([call(x) for x in many])
        for axis in (0, 1, -1):
            got = func.vmap(call, in_dims=axis)(torch.movedim(many, 0, axis))
            assert torch.allclose(got, expected, rtol=1e-12, atol=1e-14)
    assert torch.allclose(torch.autograd.functional.jacobian(fun, x, vectorize=True), func.jacrev(fun)(x))


@IN_TORCH
def test_torch_per_sample_gradients(target):
    """vmap of grad, over logits and targets together or each alone."""
    from torch.func import grad, vmap

    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    p = ax.softmax(x)
    rows = vmap(grad(ax.cross_entropy))(x, t)
    assert np.allclose(target.numpy(rows), target.numpy(p) - np.eye(4)[LABELS], rtol=1e-12)
    by_target = vmap(grad(ax.cross_entropy), in_dims=(None, 0))(x[0], t)
    assert np.allclose(target.numpy(by_target), target.numpy(p)[0] - np.eye(4)[LABELS], rtol=1e-12)
    by_logits = vmap(grad(ax.cross_entropy), in_dims=(0, None))(x, t[0])
    assert np.allclose(target.numpy(by_logits), target.numpy(p) - np.eye(4)[LABELS[0]], rtol=1e-12)


@IN_TORCH
def test_torch_gradients_through_vmap_are_by_the_rules(target):
    """PyTorch would differentiate the formulas themselves: a dominant class loses its digits, and -inf gives NaN."""
    import torch

    x, gone = target.array([[0.0, -20.0, -21.0]] * 2, "float32"), target.array(np.full((2, 3), -np.inf), "float32")
    t, others = target.array([0, 0], "int"), np.exp([-20.0, -21.0]).sum()

    def loss(x):
        return torch.vmap(ax.cross_entropy)(x, t).sum()

    leaf = x.clone().requires_grad_()
    loss(leaf).backward()
    for got in (leaf.grad, torch.func.grad(loss)(x)):
        assert np.allclose(target.numpy(got)[:, 0], -others / (1 + others), rtol=1e-6, atol=0)
    assert torch.all(torch.func.grad(lambda x: torch.vmap(ax.logsumexp)(x).sum())(gone) == 0)


@IN_TORCH
def test_torch_backward_again(target):
    """Nothing that is kept for it is written to."""
    import torch

    for name in NAMES:
        fun, x = alone(target, name)
        x.requires_grad_()
        y = fun(x)
        (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
        first.mul_(0)
        (second,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
        (third,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(second, third), name
        assert torch.any(second != 0), name


@IN_TORCH
@pytest.mark.parametrize("name", NAMES)
def test_what_torch_func_has_left_behind(target, name):
    """A tensor kept from within a transformation stands for what it wraps; that has its gradient through it."""
    import torch

    fun, x = alone(target, name)
    x.requires_grad_()
    kept = []
    torch.func.grad(lambda x: (kept.append(x), x.sum())[1])(x)
    found, expected = (torch.autograd.grad(fun(a).sum(), x)[0] for a in (*kept, x))
    assert np.allclose(target.numpy(found), target.numpy(expected), rtol=1e-12)


@IN_TORCH
def test_torch_modes_without_a_gradient(target):
    import torch

    x, t = target.array(X, "float32").requires_grad_(), target.array(LABELS, "int")
    with torch.no_grad():
        assert not ax.cross_entropy(x, t).requires_grad
    with torch.inference_mode():
        y = ax.softmax(x)
        assert y.is_inference()
        made_here = x * 2
    assert not ax.log_softmax(made_here).requires_grad
    assert torch.equal(ax.cross_entropy(made_here, t), ax.cross_entropy(x * 2, t))


@IN_TORCH
def test_torch_meta_tensors(target):
    """Shapes and dtypes without values, backward included."""
    import torch

    for name in NAMES:
        fun, args, options = CASES[name]
        place = lambda a: made(target, a).to("meta") if isinstance(a, np.ndarray) else a
        args, options = [place(a) for a in args], {k: place(v) for k, v in options.items()}
        args[0].requires_grad_()
        y = fun(*args, **options)
        assert y.device.type == "meta"
        assert tuple(y.shape) == CASES[name][0](*CASES[name][1], **CASES[name][2]).shape
        y.sum().backward()
        assert args[0].grad.shape == args[0].shape
    assert (
        ax.cross_entropy(
            torch.zeros((2, 3), device="meta", dtype=torch.float16), torch.zeros(2, device="meta", dtype=int)
        ).dtype
        == torch.float32
    )


@IN_TORCH
def test_torch_subclasses(target):
    """A subclass goes in and comes out, as it does with PyTorch's own functions; a Parameter gives a Tensor."""
    import torch

    class Tagged(torch.Tensor):
        pass

    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    tagged = x.clone().as_subclass(Tagged).requires_grad_()
    plain = x.clone().requires_grad_()
    for fun in (ax.sigmoid, ax.softmax, functools.partial(ax.cross_entropy, targets=None)):
        if isinstance(fun, functools.partial):
            fun = lambda x: ax.cross_entropy(x, t, reduction="none")
        y = fun(tagged)
        assert type(y) is Tagged
        (y**2).sum().backward()
        (fun(plain) ** 2).sum().backward()
        assert torch.allclose(tagged.grad.as_subclass(torch.Tensor), plain.grad, rtol=1e-13)
    parameter = torch.nn.Parameter(x)
    y = ax.cross_entropy(parameter, t)
    assert type(y) is torch.Tensor
    y.backward()
    assert type(parameter.grad) is torch.Tensor


@IN_TORCH
def test_torch_checkpoint_and_hooks(target):
    """Recomputing in the backward pass, and moving what is saved elsewhere meanwhile."""
    import torch
    from torch.utils.checkpoint import checkpoint

    fun, x = alone(target, "mask, smoothing, mean")
    x.requires_grad_()
    (expected,) = torch.autograd.grad(fun(x), x)
    (again,) = torch.autograd.grad(checkpoint(fun, x, use_reentrant=False), x)
    assert torch.equal(again, expected)
    with torch.autograd.graph.save_on_cpu():
        y = fun(x)
    assert torch.equal(torch.autograd.grad(y, x)[0], expected)


@IN_TORCH
@compiles
@pytest.mark.parametrize("name", NAMES)
def test_torch_compile(target, name):
    """The whole graph, forward and backward, at ties too; ``aot_eager`` traces all of it and needs no C++ compiler."""
    import torch

    fun, x = alone(target, name)
    x = target.array(TIED[:, : x.shape[1]] if x.ndim == 2 else TIED, "float64")
    torch.compiler.reset()
    compiled = torch.compile(fun, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x), fun(x), rtol=1e-13)
    x.requires_grad_()
    (got,) = torch.autograd.grad(compiled(x).sum(), x)
    (expected,) = torch.autograd.grad(fun(x).sum(), x)
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-15)


def compiled_jvp(fun, x, v):
    import torch

    return torch.compile(lambda x: torch.func.jvp(fun, (x,), (v,))[1], fullgraph=True, backend="eager")(x)


def compiled_dual(fun, x, v):
    import torch
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        return torch.compile(fun, fullgraph=True, backend="eager")(forward_ad.make_dual(x, v))


def compiled_twice(fun, x, v):
    import torch

    twice = torch.func.grad(lambda x: (v * torch.func.grad(lambda x: fun(x).sum())(x)).sum())
    return torch.compile(twice, fullgraph=True, backend="eager")(x)


def compiled_grad_within(fun, x, v):
    import torch

    inner = torch.func.grad(lambda x: fun(x).sum())
    return torch.compile(lambda x: inner(x) * v, fullgraph=True, backend="eager")(x.clone().requires_grad_())


def compiled_twice_without_gradients(fun, x, v):
    import torch

    with torch.no_grad():
        return compiled_twice(fun, x, v)


@IN_TORCH
@compiles
@pytest.mark.parametrize(
    "transform",
    [compiled_jvp, compiled_dual, compiled_twice, compiled_grad_within, compiled_twice_without_gradients],
)
@pytest.mark.parametrize("fun", [ax.log_softmax, ax.sigmoid], ids=lambda fun: fun.__name__)
def test_what_torch_compile_would_get_wrong_raises(target, transform, fun):
    """It looks into a rule and differentiates what it sees there, silently: at ties the numbers would be wrong."""
    import torch

    torch.compiler.reset()
    x, v = target.array(TIED, "float64"), target.array(X, "float64")
    text = (
        f"{fun.__name__}: torch.compile is tracing a derivative that is in forward mode or may be differentiated again"
    )
    with pytest.raises(Exception, match=text):
        transform(fun, x, v)


@IN_TORCH
@compiles
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)  # as it steps aside
def test_torch_compile_of_a_gradient(target):
    """Inside of what is compiled a gradient is right under no_grad; without ``fullgraph``, PyTorch steps aside."""
    import torch

    x, t = target.array(TIED, "float64"), target.array(LABELS, "int")
    for fun in (
        lambda x: torch.func.grad(ax.cross_entropy)(x, t),
        lambda x: ax.value_and_grad(ax.cross_entropy)(x, t)[1],
    ):
        torch.compiler.reset()
        with torch.no_grad():
            assert torch.allclose(torch.compile(fun, fullgraph=True, backend="aot_eager")(x), fun(x), rtol=1e-13)
        torch.compiler.reset()
        assert torch.allclose(torch.compile(fun, backend="aot_eager")(x), fun(x), rtol=1e-13)


@IN_TORCH
@compiles
@pytest.mark.parametrize("name", NAMES)
def test_torch_export(target, name):
    import torch

    fun, x = alone(target, name)

    class Module(torch.nn.Module):
        def forward(self, x):
            return fun(x)

    exported = torch.export.export(Module(), (x,)).module()
    assert torch.allclose(exported(x + 1.0), fun(x + 1.0), rtol=1e-13)


# JAX ------------------------------------------------------------------------------------------------------------------


@IN_JAX
@pytest.mark.parametrize("name", NAMES)
def test_jax_derivatives(target, name):
    """Both modes, once and twice and in any order, under jit."""
    import jax

    fun, x = alone(target, name)
    numpy = functools.partial(np.asarray, dtype=np.float64)
    first = jacobian(of_numpy(target, fun), numpy(x))
    for by in (jax.jacrev, jax.jacfwd):
        assert np.allclose(jax.jit(by(fun))(x), first, rtol=1e-7, atol=1e-9)
    total = lambda x: fun(x).sum()
    second = jacobian(of_numpy(target, jax.jit(jax.grad(total))), numpy(x))
    for outer, inner in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
        assert np.allclose(jax.jit(outer(inner(total)))(x), second, rtol=1e-6, atol=1e-8), (outer, inner)
    assert np.allclose(jax.hessian(total)(x), second, rtol=1e-6, atol=1e-8)


@IN_JAX
@pytest.mark.parametrize("name", NAMES)
def test_jax_vmap_scan_and_checkpoint(target, name):
    import jax
    import jax.numpy as jnp

    fun, x = alone(target, name)
    many = jnp.stack([x, x + 1.0, -x])
    gradient = jax.grad(lambda x: fun(x).sum())
    expected = jnp.stack([fun(x) for x in many])
    rows = jnp.stack([gradient(x) for x in many])
    for axis in (0, 1, -1):
        moved = jnp.moveaxis(many, 0, axis)
        assert np.allclose(jax.jit(jax.vmap(fun, in_axes=axis))(moved), expected, rtol=1e-12)
        assert np.allclose(jax.vmap(gradient, in_axes=axis)(moved), rows, rtol=1e-11, atol=1e-14)
    assert np.allclose(jax.lax.scan(lambda carry, x: (carry, fun(x)), 0.0, many)[1], expected, rtol=1e-12)
    through = jax.grad(lambda many: jax.lax.scan(lambda carry, x: (carry + fun(x).sum(), None), 0.0, many)[0])
    assert np.allclose(jax.jit(through)(many), rows, rtol=1e-11, atol=1e-14)
    again = jax.grad(lambda x: jax.checkpoint(fun)(x).sum())
    assert np.allclose(jax.jit(again)(x), gradient(x), rtol=1e-12, atol=1e-15)
    shape = jax.eval_shape(jax.vmap(gradient), many)
    assert (shape.shape, shape.dtype) == (many.shape, many.dtype)


@IN_JAX
def test_jax_vmap_over_everything(target):
    """Any mixture of mapped and shared arrays, weights and masks included."""
    import jax
    import jax.numpy as jnp

    arrays = [
        target.array(a, k)
        for a, k in ((X, "float64"), (LABELS, "int"), (WEIGHT, "float64"), (FACTOR, "float64"), (MASK, "bool"))
    ]
    many = [jnp.stack([a, a[::-1]]) for a in arrays]

    def loss(x, t, w, f, m):
        return ax.cross_entropy(x, t, weight=w, sample_weight=f, where=m, **BOTH)

    for axes in [(0,) * 5, *(tuple(0 if i == j else None for j in range(5)) for i in range(5)), (0, None, 0, None, 0)]:
        given = [m if a == 0 else b for a, m, b in zip(axes, many, arrays, strict=True)]
        picks = [[a[i] if axis == 0 else a for a, axis in zip(given, axes, strict=True)] for i in range(2)]
        assert np.allclose(jax.vmap(loss, in_axes=axes)(*given), [loss(*p) for p in picks], rtol=1e-12)
        got = jax.vmap(jax.grad(loss), in_axes=axes)(*given)
        assert np.allclose(got, [jax.grad(loss)(*p) for p in picks], rtol=1e-11, atol=1e-15)


# What a gradient keeps: how many arrays as large as x, beside its inputs. Every op keeps one at most.
KEPT = {
    "sigmoid": 1,
    "log_sigmoid": 0,
    "softplus": 0,
    "softmax": 1,
    "log_softmax": 1,
    "logsumexp": 0,
    "indices, plain, mean": 0,
    "mask, smoothing, none": 0,
    "probabilities, z-loss, mean": 0,
    "nll_loss": 0,
    "binary": 1,  # the weights in the divisor of the mean
}


@IN_JAX
@pytest.mark.parametrize("name", KEPT)
def test_what_a_jax_gradient_keeps(target, name):
    import jax

    fun, args, options = CASES[name]
    arrays = [made(target, a) for a in args]
    options = {k: made(target, v) for k, v in options.items()}
    given = [*arrays, *(v for v in options.values() if hasattr(v, "shape"))]
    _, pullback = jax.vjp(lambda x: fun(x, *arrays[1:], **options), arrays[0])
    kept = [a for a in jax.tree_util.tree_leaves(pullback) if a.size >= arrays[0].size]
    new = [a for a in kept if not any(a.shape == b.shape and np.array_equal(a, b) for b in given)]
    assert len(new) == KEPT[name]


# Weights that are 0 ---------------------------------------------------------------------------------------------------


def zero_weights(target):
    """Per name: a loss as a function of logits and of a weight that is 0 somewhere, that weight, and its derivative."""
    t, soft = made(target, LABELS), made(target, SOFT)
    x = X
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    h = -log_p[np.arange(3), LABELS]
    factor, weight = np.asarray([0.0, 1.0, 0.0]), np.asarray([0.0, 1.0, 0.0, 2.0])
    per_class = np.eye(4)[LABELS].T @ h
    positive = np.where(SOFT > 0.3, 1.0, 0.0)
    labels = made(target, positive)
    binary = np.logaddexp(0, x) - positive * x
    pos = positive * np.logaddexp(0, -x)
    cross = functools.partial(ax.cross_entropy, reduction="sum")
    return {
        "sample_weight": (lambda x, f: cross(x, t, sample_weight=f), factor, h),
        "sample_weight of probabilities": (
            lambda x, f: cross(x, soft, sample_weight=f),
            factor,
            -(SOFT * log_p).sum(1),
        ),
        "class weight": (lambda x, w: cross(x, t, weight=w), weight, per_class),
        "targets": (lambda x, p: cross(x, p), np.zeros((3, 4)), -log_p),
        "nll_loss": (
            lambda x, f: ax.nll_loss(x, t, sample_weight=f, reduction="sum"),
            factor,
            -x[np.arange(3), LABELS],
        ),
        "binary": (
            lambda x, f: ax.binary_cross_entropy_with_logits(x, labels, sample_weight=f, reduction="sum"),
            np.zeros((3, 4)),
            binary,
        ),
        "pos_weight": (
            lambda x, w: ax.binary_cross_entropy_with_logits(x, labels, pos_weight=w, reduction="sum"),
            np.zeros((3, 4)),
            pos,
        ),
    }


ZERO_WEIGHTS = (
    "sample_weight",
    "sample_weight of probabilities",
    "class weight",
    "targets",
    "nll_loss",
    "binary",
    "pos_weight",
)


@pytest.mark.backends(fits=lambda backend: backend.name in ("torch", "jax"))
@pytest.mark.parametrize("name", ZERO_WEIGHTS)
def test_the_derivative_along_a_weight_of_0(target, name):
    """It is the loss that the weight would let in; and its own derivative along the logits is that loss's gradient.

    Learning to weight samples starts from weights of 0 and needs both.
    """
    cases = zero_weights(target)
    assert tuple(cases) == ZERO_WEIGHTS
    fun, weight, expected = cases[name]
    x, w = target.array(X, "float64"), target.array(weight, "float64")
    mixed = jacobian(lambda v: target.numpy(first_derivative(target, fun, target.array(v, "float64"), w)), X)
    if target.backend.name == "torch":
        from torch.func import grad, jacfwd, jacrev

        assert np.allclose(target.numpy(grad(fun, argnums=1)(x, w)), expected, rtol=1e-12, atol=1e-14)
        assert np.allclose(target.numpy(jacfwd(fun, argnums=1)(x, w)), expected, rtol=1e-12, atol=1e-14)
        for by in (jacrev, jacfwd):
            got = by(grad(fun, argnums=0), argnums=1)(x, w)
            assert np.allclose(swapped(target, got, x), mixed, rtol=1e-7, atol=1e-9)
    else:
        import jax

        assert np.allclose(jax.grad(fun, argnums=1)(x, w), expected, rtol=1e-12, atol=1e-14)
        for by in (jax.jacrev, jax.jacfwd):
            got = by(jax.grad(fun, argnums=0), argnums=1)(x, w)
            assert np.allclose(swapped(target, got, x), mixed, rtol=1e-7, atol=1e-9)


@pytest.mark.backends(fits=lambda backend: backend.name in ("torch", "jax"))
def test_second_derivatives_of_dropped_samples(target):
    """0 along the logits, smoothing and all; along a sample weight of 0 those of the loss that it would let in."""
    if target.backend.name == "torch":
        from torch.func import hessian, jacfwd, jacrev
    else:
        from jax import hessian, jacfwd, jacrev
    x, t = target.array(X, "float64"), target.array(LABELS, "int")
    classes, ones = target.array([0.0, 1.0, 2.0, 3.0], "float64"), target.array([1.0, 1.0, 1.0], "float64")
    loss = functools.partial(ax.cross_entropy, reduction="sum", **BOTH)
    second = target.numpy(hessian(lambda x: loss(x, t, weight=classes))(x))
    assert np.all(second[0] == 0)
    assert np.any(second[1] != 0)

    def weighted(x, f):
        return loss(x, t, sample_weight=f)

    whole = hessian(weighted)(x, ones)
    for by in (jacfwd, jacrev):
        third = by(hessian(weighted), argnums=1)(x, ones * 0)
        assert np.allclose(target.numpy(third).sum(-1), target.numpy(whole), rtol=1e-12, atol=1e-15)


def first_derivative(target, fun, x, w):
    if target.backend.name == "torch":
        from torch.func import grad

        return grad(fun, argnums=1)(x, w)
    import jax

    return jax.grad(fun, argnums=1)(x, w)


def swapped(target, a, x):
    """A derivative along x and then w, as one along w and then x."""
    a = target.numpy(a)
    return np.moveaxis(a, tuple(range(x.ndim)), tuple(range(-x.ndim, 0)))


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.parametrize("shape", [(4, 1000), (70_000, 21), (2000, 1000)], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_step_keeps_the_logits_and_no_other_array_of_their_size(target, shape, precision):
    """But of few elements, of which it keeps what PyTorch's own loss keeps."""
    import torch

    x = torch.zeros(shape, dtype=getattr(torch, precision), requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda a: kept.append(a) or a, lambda a: a):
        loss = ax.cross_entropy(x, torch.zeros(shape[0], dtype=torch.int64))
    assert {a.data_ptr() for a in kept if a.numel() == x.numel()} == {x.data_ptr()}
    loss.backward()
    assert abs(x.grad.double().sum().item()) < (1e-6 if precision == "float32" else 1e-2)
