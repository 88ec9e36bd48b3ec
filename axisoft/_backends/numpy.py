"""NumPy: the formulas, without the warnings that infinities and NaN would otherwise raise on their way through."""

from __future__ import annotations

import numpy as np

from axisoft import _core


def evaluate(op, arrays, *, xp, **static):
    with np.errstate(all="ignore"):
        return np.asarray(_core.evaluate(_core.by_formula(xp), op, _plain(arrays), xp=xp, **static))


def pullback(op, arrays, wanted, *, xp, **static):
    with np.errstate(all="ignore"):
        y, pull = _core.pullback(_core.by_formula(xp), op, _plain(arrays), wanted, xp=xp, **static)

    def quiet(g):
        with np.errstate(all="ignore"):
            return _plain(pull(g))

    return np.asarray(y), quiet


def _plain(arrays):
    """What they hold, as ndarrays: the arithmetic of subclasses (numpy.matrix) is not that of arrays, and a reduction
    over everything gives NumPy a scalar, where an array went in and so an array comes out."""
    return [None if a is None else np.asarray(a) for a in arrays]


def values(x):
    return np.asarray(x)
