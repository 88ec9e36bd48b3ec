"""NumPy: the formulas, without the warnings that infinities and NaN would otherwise raise on their way through."""

from __future__ import annotations

import numpy as np

from axisoft import _core


def evaluate(op, arrays, *, xp, **static):
    # Subclasses come in as what they hold: their own arithmetic (numpy.matrix) is not that of arrays.
    arrays = [None if a is None else np.asarray(a) for a in arrays]
    with np.errstate(all="ignore"):
        # A reduction over everything gives NumPy a scalar; an array went in, so an array comes out.
        return np.asarray(_core.evaluate(_core.by_formula(xp), op, arrays, xp=xp, **static))


def values(x):
    return np.asarray(x)
