"""Calls with the names and places of other libraries: a sentence with the call that was meant, and that call works."""

from __future__ import annotations

import functools
import inspect
import pickle
import re

import numpy as np
import pytest

import axisoft as ax

X = np.asarray([[0.5, -1.0, 2.0, 0.0, 3.0], [1.0, 1.0, 0.0, -2.0, 0.5]])
T = np.asarray([0, 4])
P = np.full((2, 5), 0.2)
W = np.ones(5)
M = X > -1.5
I4 = np.zeros((1, 2, 3, 4))
BCE = "binary_cross_entropy_with_logits"

# call, the whole text
SLIPS = {
    "another name of axis": (
        lambda: ax.softmax(X, dim=1),
        "softmax: dim=1 is not an argument; write softmax(x, axis=1).",
    ),
    "axes": (
        lambda: ax.log_softmax(X, axes=(0, 1)),
        "log_softmax: axes=(0, 1) is not an argument; write log_softmax(x, axis=(0, 1)).",
    ),
    "a capital": (lambda: ax.softmax(X, Axis=1), "softmax: Axis=1 is not an argument; write softmax(x, axis=1)."),
    "an axis by position": (lambda: ax.softmax(X, 1), "softmax: 1 is given by position; write softmax(x, axis=1)."),
    "all axes by position": (
        lambda: ax.softmax(X, None),
        "softmax: None is given by position; write softmax(x, axis=None).",
    ),
    "two names": (
        lambda: ax.logsumexp(X, dim=1, keepdim=True),
        "logsumexp: dim=1 and keepdim=True are not arguments; write logsumexp(x, axis=1, keepdims=True).",
    ),
    "two by position": (
        lambda: ax.logsumexp(X, 1, True),
        "logsumexp: 1 and True are given by position; write logsumexp(x, axis=1, keepdims=True).",
    ),
    "another name of the array": (lambda: ax.softmax(input=X), "softmax: input is not an argument; write softmax(x)."),
    "its own name": (lambda: ax.sigmoid(x=X), "sigmoid: x is given by name; write sigmoid(x)."),
    "logits of a softmax": (
        lambda: ax.softmax(logits=X, axis=0),
        "softmax: logits is not an argument; write softmax(x, axis=0).",
    ),
    "both names": (
        lambda: ax.cross_entropy(logits=X, targets=T),
        "cross_entropy: logits and targets are given by name; write cross_entropy(logits, targets).",
    ),
    "both other names": (
        lambda: ax.nll_loss(input=X, target=T),
        "nll_loss: input and target are not arguments; write nll_loss(log_probs, targets).",
    ),
    "target": (
        lambda: ax.cross_entropy(X, target=T),
        "cross_entropy: target is not an argument; write cross_entropy(logits, targets).",
    ),
    "label": (
        lambda: ax.binary_cross_entropy_with_logits(X, label=P),
        f"{BCE}: label is not an argument; write {BCE}(logits, targets).",
    ),
    "no targets": (
        lambda: ax.cross_entropy(X),
        "cross_entropy: targets is missing; write cross_entropy(logits, targets).",
    ),
    "nothing": (lambda: ax.softplus(), "softplus: x is missing; write softplus(x)."),
    "a weight by position": (
        lambda: ax.cross_entropy(X, T, W),
        "cross_entropy: argument 3 is given by position; write cross_entropy(logits, targets, weight=weight).",
    ),
    "a weight of elements by position": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, P),
        f"{BCE}: argument 3 is given by position; write {BCE}(logits, targets, sample_weight=sample_weight).",
    ),
    "a weight of elements": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, weight=P),
        f"{BCE}: weight is not an argument; write {BCE}(logits, targets, sample_weight=weight).",
    ),
    "class weights": (
        lambda: ax.nll_loss(X, T, class_weight=W, reduction="sum"),
        "nll_loss: class_weight is not an argument; "
        "write nll_loss(log_probs, targets, weight=class_weight, reduction='sum').",
    ),
    "a reduction by position": (
        lambda: ax.cross_entropy(X, T, "sum"),
        "cross_entropy: 'sum' is given by position; write cross_entropy(logits, targets, reduction='sum').",
    ),
    "reduce": (
        lambda: ax.cross_entropy(X, T, reduce=False),
        "cross_entropy: reduce=False is not an argument; write cross_entropy(logits, targets, reduction='none').",
    ),
    "size_average": (
        lambda: ax.nll_loss(X, T, size_average=False),
        "nll_loss: size_average=False is not an argument; write nll_loss(log_probs, targets, reduction='sum').",
    ),
    "an ignored label": (
        lambda: ax.cross_entropy(X, T, ignore_label=4),
        "cross_entropy: ignore_label=4 is not an argument; write cross_entropy(logits, targets, ignore_index=4).",
    ),
    "smoothing": (
        lambda: ax.cross_entropy(X, T, smoothing=0.1),
        "cross_entropy: smoothing=0.1 is not an argument; write cross_entropy(logits, targets, label_smoothing=0.1).",
    ),
    "a misspelled option": (
        lambda: ax.cross_entropy(X, T, labelsmoothing=0.1),
        "cross_entropy: labelsmoothing=0.1 is not an argument; "
        "write cross_entropy(logits, targets, label_smoothing=0.1).",
    ),
    "a mask": (lambda: ax.softmax(X, mask=M), "softmax: mask is not an argument; write softmax(x, where=mask)."),
    "a mask by position": (
        lambda: ax.softmax(X, M),
        "softmax: argument 2 is given by position; write softmax(x, where=where).",
    ),
    "a dtype by position": (
        lambda: ax.softmax(X, -1, None, np.float32),
        "softmax: -1, None and argument 4 are given by position; write softmax(x, axis=-1, dtype=dtype).",
    ),
    "from_logits": (
        lambda: ax.cross_entropy(X, T, from_logits=True),
        "cross_entropy: from_logits=True is not an argument; "
        "leave it out for logits, and call axisoft.nll_loss for log-probabilities.",
    ),
    "num_classes": (
        lambda: ax.cross_entropy(X, T, num_classes=5),
        "cross_entropy: num_classes=5 is not an argument; leave it out, since the class axis has that length.",
    ),
    "a temperature": (
        lambda: ax.softmax(X, temperature=2.0),
        "softmax: temperature=2.0 is not an argument; divide the array by it.",
    ),
    "a temperature and a dim": (
        lambda: ax.softmax(X, dim=1, temperature=2.0),
        "softmax: dim=1 and temperature=2.0 are not arguments; divide the array by it, and write softmax(x, axis=1).",
    ),
    "threads": (
        lambda: ax.softmax(X, n_threads=2),
        "softmax: n_threads=2 is not an argument; call axisoft.set_num_threads.",
    ),
    "threads of the setting": (
        lambda: ax.set_num_threads(n_threads=2),
        "set_num_threads: n_threads=2 is not an argument; write set_num_threads(2).",
    ),
    "a number to the getter": (
        lambda: ax.get_num_threads(2),
        "get_num_threads: 2 is given by position; call axisoft.set_num_threads to set it.",
    ),
    "weights inside of the logarithm": (
        lambda: ax.logsumexp(X, b=W),
        "logsumexp: b is not an argument; call axisoft.compat.scipy.logsumexp.",
    ),
    "an axis of elements": (
        lambda: ax.sigmoid(X, dim=1),
        "sigmoid: dim=1 is not an argument; leave it out, since each element is by itself.",
    ),
    "an axis of channels": (
        lambda: ax.softmax2d(I4, axis=1),
        "softmax2d: axis=1 is not an argument; call axisoft.softmax, which takes axis.",
    ),
    "an ignored label of labels": (
        lambda: ax.binary_cross_entropy_with_logits(X, P, ignore_index=255),
        f"{BCE}: ignore_index=255 is not an argument; give sample_weight, 0 for what is left out.",
    ),
    "smoothing of log-probabilities": (
        lambda: ax.nll_loss(X, T, label_smoothing=0.1),
        "nll_loss: label_smoothing=0.1 is not an argument; call axisoft.cross_entropy.",
    ),
    "targets of a softmax": (
        lambda: ax.softmax(X, targets=T),
        "softmax: targets is not an argument; call axisoft.cross_entropy.",
    ),
    "what nobody has": (
        lambda: ax.softmax(X, foo=1),
        "softmax: foo=1 is not an argument; leave it out, or use axis, where, dtype or across.",
    ),
    "in vjp": (lambda: ax.vjp(ax.softmax, X, dim=1), "softmax: dim=1 is not an argument; write softmax(x, axis=1)."),
    "in vjp, by position": (
        lambda: ax.vjp(ax.cross_entropy, X, T, W),
        "cross_entropy: argument 3 is given by position; write cross_entropy(logits, targets, weight=weight).",
    ),
    "vjp of nothing": (lambda: ax.vjp(ax.softmax), "vjp: x is missing; write vjp(fun, x)."),
    "vjp by name": (lambda: ax.vjp(ax.softmax, x=X), "vjp: x is given by name; write vjp(fun, x)."),
    "in value_and_grad": (
        lambda: ax.value_and_grad(ax.cross_entropy)(X, labels=T),
        "cross_entropy: labels is not an argument; write cross_entropy(logits, targets).",
    ),
    "value_and_grad with arrays": (
        lambda: ax.value_and_grad(ax.cross_entropy, X, T),
        "value_and_grad: argument 2 and argument 3 are given by position; "
        "give the arguments of the function to what value_and_grad returns.",
    ),
    "vjp of an argument": (
        lambda: ax.vjp(ax.cross_entropy, X, T, argnums=0),
        "cross_entropy: argnums=0 is not an argument; give it to axisoft.value_and_grad.",
    ),
    "a partial": (
        lambda: functools.partial(ax.softmax, dim=1)(X),
        "softmax: dim=1 is not an argument; write softmax(x, axis=1).",
    ),
}

# What the words in a recommended call stand for.
WORDS = {
    "x": X,
    "logits": X,
    "log_probs": X,
    "targets": T,
    "weight": W,
    "class_weight": W,
    "where": M,
    "mask": M,
    "dtype": np.float32,
    "fun": ax.softmax,
}


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setattr("axisoft._threads._chosen", None)


@pytest.mark.parametrize("name", SLIPS)
def test_text(name):
    call, text = SLIPS[name]
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", [name for name, (_, text) in SLIPS.items() if "write " in text])
def test_the_recommended_call_succeeds(name):
    _, text = SLIPS[name]
    (call,) = re.findall(r"write (.*)\.$", text)
    words = WORDS
    if call.startswith(BCE):
        words = {**WORDS, "targets": P, "weight": P, "sample_weight": P}
    eval(call, {name: getattr(ax, name) for name in ax.__all__}, words)


FUNCTIONS = sorted(set(ax.__all__) - {"get_num_threads", "set_num_threads", "show_versions", "value_and_grad"})
FOREIGN = """
dim dims axes keepdim keep_dims input inputs logits x a tensor target label labels y_true ignore_label ignored_index
reduce size_average average mask attention_mask from_logits num_classes n_classes temperature tau n_threads n_jobs
weights class_weights sample_weights smoothing out dtypes axis keepdims where dtype weight sample_weight pos_weight
ignore_index label_smoothing z_loss reduction beta threshold b return_sign gamma alpha inplace name key nonsense
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_call_ends_in_pythons_own_words(function):
    """Whatever name an argument has, and whatever its value: one sentence, of the grammar."""
    fun = getattr(ax, function)
    parameters = inspect.signature(fun).parameters.values()
    arrays = {"vjp": (ax.softmax, X), "softmax2d": (I4,), BCE: (X, P)}.get(function, (X, T))
    arrays = arrays[: len([p for p in parameters if p.kind is p.POSITIONAL_ONLY])]
    own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] or ["axis", "where", "dtype"] * (function == "vjp")
    said = "softmax" if function == "vjp" else function
    for value in (1, True, None, "sum", 0.5, X, [1, 2]):
        calls = [functools.partial(fun, *arrays, **{name: value}) for name in FOREIGN.split() if name not in own]
        for call in (*calls, functools.partial(fun, *arrays, value)):
            with pytest.raises(TypeError) as caught:
                call()
            text = str(caught.value)
            assert re.fullmatch(rf"{said}: .+; .+\.", text), text
            assert "()" not in text


def test_the_functions_are_what_they_were():
    for name in ax.__all__:
        fun = getattr(ax, name)
        assert inspect.isfunction(fun)
        assert (fun.__name__, fun.__qualname__) == (name, name)
        assert fun.__module__.startswith("axisoft._")
        assert fun.__doc__ == inspect.unwrap(fun).__doc__
        assert inspect.signature(fun) == inspect.signature(inspect.unwrap(fun))
        assert pickle.loads(pickle.dumps(fun)) is fun
    assert str(inspect.signature(ax.softmax)).startswith("(x: 'ArrayT', /, *, axis: 'Axes' = -1, ")


def test_errors_from_within_are_not_slips():
    """Not what the caller's own dtype raises while it is looked at, and not axisoft's own sentences."""

    class Broken:
        @property
        def dtype(self):
            raise TypeError("softmax() got an unexpected keyword argument 'dim'")

    with pytest.raises(TypeError, match=r"^softmax\(\) got an unexpected keyword argument 'dim'$"):
        ax.softmax(Broken(), axis=0)
    with pytest.raises(TypeError, match=r"^softmax: x is a list, not an array; "):
        ax.softmax([1.0], axis=0)


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
def test_compiled_by_torch(target):
    """In one graph; and where a slip makes Dynamo give up, the sentence comes from the call itself."""
    import torch

    x, t = target.array(X, "float32"), target.array(T, "int")
    for fun, args in ((ax.softmax, (x,)), (ax.cross_entropy, (x, t)), (functools.partial(ax.logsumexp, axis=1), (x,))):
        compiled = torch.compile(fun, backend="eager", fullgraph=True)
        assert torch.allclose(compiled(*args), fun(*args))
    torch._dynamo.reset()
    with pytest.raises(TypeError, match=r"^softmax: dim=1 is not an argument; "):
        torch.compile(lambda x: ax.softmax(x, dim=1), backend="eager")(x)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_jitted_by_jax(target):
    import jax

    x = target.array(X, "float32")
    y = jax.jit(ax.softmax, static_argnames="axis")(x, axis=0)
    assert np.allclose(target.numpy(y), target.numpy(ax.softmax(x, axis=0)), rtol=1e-6)
    with pytest.raises(TypeError, match=r"^softmax: dim is not an argument; "):
        jax.jit(ax.softmax)(x, dim=1)
