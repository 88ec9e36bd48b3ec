"""A formula on few elements as straight code: the calls of NumPy that it came down to, written down once.

A formula is some thirty Python functions that hand ten steps to NumPy; of a thousand elements, the functions take more
time than the steps. What they decide depends on the op, on its options and on how its arrays lie in memory, but not on
numbers. So the third call of a kind runs on arrays that write down what is done with them, and from then on a function
made of that takes the place of the formula: the same calls in the same order, so the same bits. Where the formula looks
at numbers (``if``, ``none``), the function makes sure that it would see the same, and another is written where not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Calls of a kind before it is written down, which takes as long as ten of them; and kinds that are kept.
CALLS = 2
NEVER = CALLS + 1
MOST = 256


class Recorded:
    """Runs ``function(arrays, *args)`` for kinds of calls that a key tells apart, besides how the arrays lie."""

    def __init__(self) -> None:
        self.kinds: dict[Any, Any] = {}

    def __call__(self, function, arrays, key, *args):
        try:
            kind = (key, *[None if a is None else (a.shape, a.strides, a.dtype) for a in arrays])
            code = self.kinds.get(kind, 0)
        except TypeError:  # an option that has no hash
            return function(arrays, *args)
        while type(code) is not int:
            found = code.run(*arrays)
            if type(found) is not int:
                return found
            if found not in code.otherwise:
                code.otherwise[found] = _written(function, arrays, args) or NEVER
            code = code.otherwise[found]
        if code <= CALLS:
            if len(self.kinds) >= MOST:
                self.kinds.clear()
            self.kinds[kind] = code + 1 if code < CALLS else _written(function, arrays, args) or NEVER
        return function(arrays, *args)


class _Code:
    """``run`` gives what the function gives, or the number of the look at numbers that saw something else; then
    ``otherwise`` has the code for that."""

    def __init__(self, run):
        self.run, self.otherwise = run, {}


class _Unwritten(Exception):
    """The function does something that cannot be written down."""


def _written(function, arrays, args):
    """The code of one call; None if it cannot be had."""
    text = _Text()
    names = [f"a{i}" for i in range(len(arrays))]
    try:
        given = [None if a is None else text.name(a, name) for a, name in zip(arrays, names, strict=True)]
        found = function(given, *args)
        text.lines.append(f"return {text.result(found)}")
    except Exception:  # what a subclass of arrays cannot do the formula may well do: it runs as it is
        return None
    source = "\n ".join([f"def run({', '.join(names)}):", *text.lines])
    exec(compile(source, "<axisoft: a formula written down>", "exec"), text.values)
    return _Code(text.values["run"])


class _Text:
    """Lines of code, and the values that they name."""

    def __init__(self):
        self.lines: list[str] = []
        self.values: dict[str, Any] = {}
        self.views: dict[str, _Array] = {}
        self.looks = 0

    def name(self, value, name):
        """A value that the code has under this name, as an array that writes down what is done with it."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.name(part, f"{name}[{i}]") for i, part in enumerate(value))
        if not isinstance(value, (np.ndarray, np.generic)):
            raise _Unwritten
        array = np.asarray(value).view(_Array)
        array.text, array.name, array.is_scalar = self, name, isinstance(value, np.generic)
        return array

    def do(self, code, value):
        """A line for a new value."""
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {code}")
        return self.name(value, name)

    def of(self, value):
        """The code of an argument."""
        if isinstance(value, _Array):
            if getattr(value, "text", None) is not self:
                raise _Unwritten
            return value.name
        if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
            return repr(value)
        if type(value) in (tuple, list):
            inner = "".join(f"{self.of(part)}, " for part in value)
            return f"({inner})" if type(value) is tuple else f"[{inner}]"
        if type(value) is slice:
            return f"slice({self.of(value.start)}, {self.of(value.stop)}, {self.of(value.step)})"
        name = f"k{len(self.values)}"
        self.values[name] = value
        return name

    def result(self, found):
        """What is given back: no array that every call would share."""
        for part in found if isinstance(found, (tuple, list)) else (found,):
            if part is not None and not isinstance(part, _Array):
                raise _Unwritten
        return self.of(found)

    def call(self, function, args, kwargs):
        """``function`` : itself, or its code."""
        every = [self.of(a) for a in args] + [f"{name}={self.of(a)}" for name, a in kwargs.items()]
        return f"{function if type(function) is str else self.of(function)}({', '.join(every)})"


def _plain(value):
    """The value itself."""
    if isinstance(value, _Array):
        return np.asarray(value)[()] if value.is_scalar else np.asarray(value)
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def _refused(self, *args, **kwargs):
    raise _Unwritten


def _method(name):
    def method(self, *args, **kwargs):
        text = self.text
        code = text.call(f"{self.name}.{name}", args, kwargs)
        if code in text.views:
            return text.views[code]
        found = text.do(code, getattr(_plain(self), name)(*_plain(args), **kwargs))
        if np.may_share_memory(_plain(found), _plain(self)):  # another look at the same memory
            text.views[code] = found
        return found

    return method


class _Array(np.ndarray):
    """An array in whose place the code will have another. What is not written down is refused, here or, since its
    result has no name, where that is used."""

    text: _Text
    name: str
    is_scalar: bool

    def __getattr__(self, name):
        raise _Unwritten if name in ("text", "name", "is_scalar") else AttributeError(name)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is None:
            function = ufunc if method == "__call__" else getattr(ufunc, method)
            if method == "reduce" and kwargs.keys() == {"axis", "keepdims"}:  # by position, which is the faster
                inputs, kwargs = (*inputs, kwargs["axis"], None, None, kwargs["keepdims"]), {}
            return self._do(function, inputs, kwargs)
        (out,) = out
        if method != "__call__" or not isinstance(out, _Array) or out.is_scalar:
            raise _Unwritten  # a scalar is no memory, and a constant stays
        text = out.text
        text.lines.append(text.call(ufunc, (*inputs, out), kwargs))
        ufunc(*_plain((*inputs, out)), **{k: _plain(v) for k, v in kwargs.items()})
        return out

    def __array_function__(self, function, types, args, kwargs):
        if function is np.nonzero or (function is np.where and len(args) == 1):  # the shape would depend on numbers
            raise _Unwritten
        if function is np.count_nonzero:
            (mask,) = args
            return self.text.do(self.text.call(function, args, kwargs), np.intp(function(_plain(mask), **kwargs)))
        return self._do(function, args, kwargs)

    def _do(self, function, args, kwargs):
        code = self.text.call(function, args, kwargs)
        return self.text.do(code, function(*_plain(args), **{k: _plain(v) for k, v in kwargs.items()}))

    def __getitem__(self, index):
        if isinstance(index, np.ndarray) and index.dtype.kind == "b":  # nor here
            raise _Unwritten
        return self.text.do(f"{self.name}[{self.text.of(index)}]", _plain(self)[_plain(index)])

    def __setitem__(self, index, value):
        text = self.text
        text.lines.append(f"{self.name}[{text.of(index)}] = {text.of(value)}")
        _plain(self)[_plain(index)] = _plain(value)

    def __bool__(self):
        """What a formula sees when it looks at numbers, to be seen again."""
        found, text = bool(_plain(self)), self.text
        text.lines.append(f"if {'not ' * found}{text.of(self)}: return {text.looks}")
        text.looks += 1
        return found

    argmax = _method("argmax")
    astype = _method("astype")
    reshape = _method("reshape")
    __float__ = __index__ = __int__ = __iter__ = item = tolist = _refused
