"""An array library over NumPy whose shapes do not tell lengths, as the standard lets a lazy one do."""

from __future__ import annotations

import operator
from types import SimpleNamespace

import array_api_compat.numpy as np


class Array:
    """What it holds is known to nobody but the library; of its shape, which axes have length 1."""

    known = ()

    def __init__(self, a):
        self.a = np.asarray(a)

    @property
    def shape(self):
        return tuple(n if n == 1 or i in self.known else None for i, n in enumerate(self.a.shape))

    @property
    def dtype(self):
        return self.a.dtype

    @property
    def ndim(self):
        return self.a.ndim

    @property
    def size(self):
        return None if None in self.shape else self.a.size

    @property
    def device(self):
        return "cpu"

    def __array_namespace__(self, api_version=None):
        return namespace

    def __bool__(self):
        raise TypeError("a value is not known yet")

    __float__ = __int__ = __index__ = __iter__ = __len__ = None

    def __getitem__(self, key):
        return Array(self.a[key])

    def __invert__(self):
        return Array(~self.a)

    def __neg__(self):
        return Array(-self.a)


def _operator(name):
    function = getattr(operator, name, None) or getattr(operator, f"{name}_")

    def forward(self, other):
        with np.errstate(all="ignore"):
            return Array(function(self.a, plain(other)))

    def backward(self, other):
        with np.errstate(all="ignore"):
            return Array(function(plain(other), self.a))

    return forward, backward


for _name in ("add", "sub", "mul", "truediv", "and", "or", "lt", "le", "gt", "ge", "eq", "ne"):
    _forward, _backward = _operator(_name)
    setattr(Array, f"__{_name}__", _forward)
    setattr(Array, f"__r{_name}__", _backward)


def plain(value):
    if isinstance(value, Array):
        return value.a
    if isinstance(value, tuple | list):
        assert all(v is not None for v in value), "a length that is not known was used as one"
        return type(value)(plain(v) for v in value)
    return value


def wrapped(value):
    if isinstance(value, tuple | list):
        return type(value)(wrapped(v) for v in value)
    return Array(value) if isinstance(value, np.ndarray | np.generic) else value


class Namespace(SimpleNamespace):
    __name__ = "unknown_lengths"

    def __getattr__(self, name):
        function = getattr(np, name)
        if not callable(function) or isinstance(function, type) or name in ("isdtype", "finfo", "iinfo", "result_type"):
            return function

        def call(*args, **kwargs):
            with np.errstate(all="ignore"):
                return wrapped(function(*map(plain, args), **{key: plain(value) for key, value in kwargs.items()}))

        return call


namespace = Namespace()
namespace.__array_namespace_info__ = np.__array_namespace_info__
namespace.errstate = np.errstate
