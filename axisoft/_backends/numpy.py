"""NumPy: the formulas, without the warnings that infinities and NaN would otherwise raise on their way through."""

from __future__ import annotations

import numpy as np

from axisoft import _core


def evaluate(op, arrays, *, xp, **static):
    def do(op, *arrays, **options):
        return op.formula(*arrays, xp=xp, **options)

    with np.errstate(all="ignore"):
        # A reduction over everything gives NumPy a scalar; an array went in, so an array comes out.
        return np.asarray(_core.evaluate(do, op, arrays, xp=xp, **static))


def readable(x):
    return True
