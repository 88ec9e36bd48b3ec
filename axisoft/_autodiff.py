"""Gradients on every backend, of libraries that have none of their own too."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from axisoft import _backends, _check, _tape
from axisoft._check import facades
from axisoft._run import Call, plan, pullback
from axisoft._typing import Array, ArrayT

P = ParamSpec("P")
ValueT = TypeVar("ValueT")


@_check.spelled
def vjp(
    fun: Callable[Concatenate[ArrayT, P], ValueT], x: ArrayT, /, *args: P.args, **kwargs: P.kwargs
) -> tuple[ValueT, Callable[[Array], tuple[ArrayT | None, *tuple[Any, ...]]]]:
    """The value of one of axisoft's functions, and its vector-Jacobian product.

    Parameters
    ----------
    fun : a function of axisoft that takes arrays, such as ``axisoft.softmax``, or of ``axisoft.compat``: itself, and
        nothing wrapped around it.
    x, args : its positional arrays, of any library; for a facade, any of its positional arguments after the first.
    kwargs : its keyword arguments. Arrays among them (weights, masks) are held fixed.

    Returns
    -------
    out : array, ``fun(x, *args, **kwargs)``.
    pullback : function from a cotangent, an array in the shape of out, to a tuple with one cotangent per positional
        array: the sum over the elements of out of cotangent times derivative, with the array's shape and dtype; None
        for an integer or boolean array, and for what is no array. It may be called any number of times.

    Raises
    ------
    TypeError : fun is none of axisoft's functions, or what fun or the cotangent is given is not an array.
    ValueError : the cotangent does not have the shape of out, or is on another device.
    Other errors are those of fun.

    Notes
    -----
    The derivatives are the same rules on every backend, accurate as docs/numerics.md has it; that of a dominant class
    is minus the sum of the others. Exactly 0 for what a mask hides and for samples that are dropped, whatever they
    hold. PyTorch and JAX differentiate by themselves here, so their own transformations go through the pullback too:
    ``backward()``, ``jax.grad``.

    Examples
    --------
    >>> import numpy as np
    >>> from axisoft import softmax, vjp
    >>> y, pullback = vjp(softmax, np.asarray([0.0, 0.0, -np.inf]))
    >>> pullback(np.asarray([1.0, 0.0, 5.0]))
    (array([ 0.25, -0.25,  0.  ]),)
    """
    if facades.is_facade(fun):
        out, pull = _around(fun, *_bound("vjp", fun, (x, *args), kwargs, 1 + len(args)))
        facades.one_result("vjp", fun.__name__, out)
        return out, lambda cotangent: tuple(pull(_check.cotangent("vjp", cotangent, out, fun.__name__)))
    call = _plan("vjp", fun, (x, *args), kwargs)
    count = 1 + len(args)
    floating = [a is not None and _check.kind_of(call.xp, a.dtype) == "floating" for a in call.arrays[:count]]
    out, pull = pullback(call, floating + [False] * (len(call.arrays) - count))

    def pullback_of(cotangent: Array) -> tuple[Any, ...]:
        g = _check.cotangent("vjp", cotangent, out, fun.__name__)
        return tuple(pull(g)[:count])

    return out, pullback_of


@overload
def value_and_grad(
    fun: Callable[Concatenate[ArrayT, P], ValueT],
) -> Callable[Concatenate[ArrayT, P], tuple[ValueT, ArrayT]]: ...
@overload
def value_and_grad(fun: Callable[..., Any], *, argnums: int | tuple[int, ...]) -> Callable[..., tuple[Any, Any]]: ...
@_check.spelled
def value_and_grad(fun: Callable[..., Any], *, argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """A function of the same arguments that gives the value of fun and its gradient along the first array, or others.

    Parameters
    ----------
    fun : a function of axisoft that takes arrays, such as ``axisoft.cross_entropy``, or of ``axisoft.compat``: itself,
        and nothing wrapped around it.
    argnums : int or tuple of ints, the places of the positional arrays that the gradients are along.

    Returns
    -------
    function : from the arguments of fun to ``(value, gradient)``; the value has no axes, the gradient has the shape and
        dtype of its array. For a tuple of places it is a tuple of gradients.

    Raises
    ------
    TypeError : fun is none of axisoft's functions; or, once it is called, argnums is no integer and no tuple of them,
        or an array with a gradient is not floating.
    ValueError : once it is called, the value has axes, or there is no array at a place.
    Other errors are those of fun.

    Notes
    -----
    ``vjp`` with a cotangent of 1; what is said there holds here.

    Examples
    --------
    >>> import numpy as np
    >>> from axisoft import cross_entropy, value_and_grad
    >>> value, gradient = value_and_grad(cross_entropy)(np.asarray([[0.0, -40.0]]), np.asarray([0]))
    >>> gradient  # one minus the probability of the class, without the cancellation
    array([[-4.24835426e-18,  4.24835426e-18]])
    """
    if facades.is_facade(fun):
        return _facade_and_grad(fun, argnums)
    _check.own_function("value_and_grad", fun)

    def call_with_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call = _plan("value_and_grad", fun, args, kwargs)
        places = _check.places("value_and_grad", argnums, max(len(args), 1), fun.__name__)
        for i in places:
            _check.differentiable("value_and_grad", call.op.inputs[i], call.arrays[i], call.xp)
        out, pull = pullback(call, [i in places for i in range(len(call.arrays))])
        _check.no_axes("value_and_grad", out, fun.__name__)
        found = pull(None)
        return out, _as_asked(argnums, [found[i] for i in places])

    return call_with_gradient


def _plan(function: str, fun: Any, args: Any, kwargs: Any) -> Call:
    _check.own_function(function, fun)
    call: Call = _check.planned(function, fun, plan(fun, args, kwargs))
    return call


def _as_asked(argnums: Any, found: list[Any]) -> Any:
    return tuple(found) if isinstance(argnums, tuple) else found[0]


# Facades: what they compute around an op is differentiated as well, by the library or by the tape.


def _facade_and_grad(fun: Callable[..., Any], argnums: Any) -> Callable[..., Any]:
    function = "value_and_grad"

    def call_with_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        first = next(iter(inspect.signature(fun).parameters))
        if not args:  # by its name
            args = (kwargs.pop(first, None),)
        places = _check.places(function, argnums, len(args), fun.__name__)
        arguments, arrays, names = _bound(function, fun, args, kwargs, len(args))
        wanted = [names[i] for i in places]
        xp = _backends.namespace(arrays[first])
        for name in wanted:
            _check.differentiable(function, name, arrays.get(name), xp)
        out, pull = _around(fun, arguments, arrays, wanted)
        facades.one_result(function, fun.__name__, out)
        _check.no_axes(function, out, fun.__name__)
        return out, _as_asked(argnums, pull(None))

    return call_with_gradient


def _bound(
    function: str, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The arguments by name; the arrays among them, checked; and the names of the first ``count``."""
    arguments = inspect.signature(fun).bind(*args, **kwargs).arguments
    first, *_ = names = list(arguments)
    arrays = {name: a for name, a in arguments.items() if name == first or hasattr(a, "shape")}
    _, checked = _check.arrays(fun.__name__, **arrays)
    return arguments, dict(zip(arrays, checked, strict=True)), names[:count]


def _around(
    fun: Any, arguments: dict[str, Any], arrays: dict[str, Any], wanted: list[str]
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """The value of a facade; and the function from its cotangent to those of the wanted arguments."""
    xp = _backends.namespace(next(iter(arrays.values())))
    varies = {n: n in wanted and _check.kind_of(xp, a.dtype) == "floating" for n, a in arrays.items()}
    executor = _backends.executor(xp)
    names: list[str]

    def run(*found: Any) -> Any:
        return fun(**{**arguments, **arrays, **dict(zip(names, found, strict=True))})

    if hasattr(executor, "vjp"):
        names = [name for name, varying in varies.items() if varying]
        out, back = executor.vjp(run, *(arrays[name] for name in names)) if names else (run(), None)
    else:
        names = list(arrays)
        with _quiet(xp):
            out, back = _tape.vjp(run, xp, list(arrays.values()), list(varies.values()))

    def pull(g: Any) -> list[Any]:
        if back is None:
            return [None] * len(wanted)
        g = xp.ones_like(out) if g is None else xp.astype(g, out.dtype, copy=False)
        with _quiet(xp):
            found = dict(zip(names, back(g), strict=True))
        return [found.get(name) for name in wanted]

    return out, pull


def _quiet(xp: Any) -> Any:
    """NumPy warns of the infinities that pass through, other libraries do not."""
    return xp.errstate(all="ignore") if hasattr(xp, "errstate") else contextlib.nullcontext()
