"""A namespace for libraries that queue one operation after another on a device, and wait for none of them.

Nothing here knows which library it is, so that the same class runs, and is judged, over one that needs no device.
"""

from __future__ import annotations

from typing import Any

from axisoft._core.stable import classes

# Terms that one of the library's own sums may have. CuPy's kernels give a slice that runs along memory to 256 threads
# or more, in any other order to 16 or more; each adds its own terms in sequence, 4 at most of so many, and what the
# threads have is added in pairs, but for 8 or 16 numbers in sequence again. A longer sum is one of such sums, which are
# few: there is one pass over the terms whatever their number.
ALONG_MEMORY = 1 << 10
ACROSS = 1 << 6
# Elements of an array from which on CuPy's writing by index loses count: it has 32 bits for them.
UNCOUNTED = 1 << 31


class Namespace:
    """What array_api_compat has for a library, and what the formulas can do better with it than the standard tells.

    The library's operations round and are quiet, its lengths are numbers, its functions take ``out``, and integer
    arrays index it for reading and writing.

    exp_below, product : kernels, as axisoft/_core/stable.py has them.
    """

    rounds = quiet = sized = True
    arange: Any
    argmax: Any
    reshape: Any
    where: Any

    def __init__(self, module, exp_below, product):
        self.__dict__.update({name: f for name, f in vars(module).items() if not hasattr(type(self), name)})
        self.exp_below, self.product = exp_below, product
        self._sum = module.sum

    def over(self, name, a, *others):
        return getattr(self, name)(a, *others, out=a)

    def position(self, x, axes):
        """NaN counts as the largest."""
        return self.argmax(x, axis=axes[0], keepdims=True) if len(axes) == 1 else None

    def take_along_axis(self, x, index, axis):
        return x[self._places(x, index, axis)]

    def put_over(self, x, index, value, axis):
        if x.size >= UNCOUNTED:
            return self.where(classes(x, axis, self) == index, value, x)
        x[self._places(x, index, axis)] = value
        return x

    def add_over(self, x, index, number, axis):
        if x.size >= UNCOUNTED:
            return x + self.where(classes(x, axis, self) == index, number, 0.0)
        x[self._places(x, index, axis)] += number
        return x

    def _places(self, x, index, axis):
        """What to index with: all combinations of the other axes, and ``index`` along this one."""
        rest = (1,) * (x.ndim - 1)
        return tuple(
            index if i == axis else self.reshape(self.arange(n), (*rest[:i], n, *rest[i:]))
            for i, n in enumerate(x.shape)
        )

    def sums_in_pairs(self, x, axis):
        """All of them are as good."""
        return True

    def sum(self, x, axis, keepdims=False):
        n = x.shape[axis] if isinstance(axis, int) else 0
        step = ALONG_MEMORY if n and x.strides[axis] == x.dtype.itemsize else ACROSS
        if n <= step:
            return self._sum(x, axis=axis, keepdims=keepdims)
        parts, lead = n // step, (slice(None),) * axis
        whole = x[(*lead, slice(parts * step))]
        whole = self.reshape(whole, (*x.shape[:axis], parts, step, *x.shape[axis + 1 :]))
        y = self.sum(self._sum(whole, axis=axis + 1), axis, keepdims)
        if parts * step < n:
            y = y + self._sum(x[(*lead, slice(parts * step, None))], axis=axis, keepdims=keepdims)
        return y
