"""The public functions of each element by itself."""

from __future__ import annotations

from typing import Any

from axisoft import _check
from axisoft._run import run
from axisoft._typing import ArrayT


def _elementwise(function: str, x: Any) -> Any:
    xp, (x,) = _check.arrays(function, x=x)
    return run(function, (x,), xp=xp, **_check.dtypes(function, xp, x, None))


@_check.spelled
def sigmoid(x: ArrayT, /) -> ArrayT:
    """The logistic function of each element, ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array of any shape, of any library. Integers and booleans become the library's default floating dtype; float16
        and bfloat16 are computed in float32 and rounded once.

    Returns
    -------
    array like x : the same library, device and shape.

    Raises
    ------
    TypeError : x is not an array, or its dtype is not real.

    Notes
    -----
    0 at -inf, 1 at +inf, NaN at NaN. Within 4 ulp wherever the true value is a normal number. Computed from
    ``exp(-|x|)``, see docs/numerics.md; the derivative is ``sigmoid(x) * sigmoid(-x)``, without ``1 - sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.asarray([-1000.0, 0.0, 2.0]))
    array([0.        , 0.5       , 0.88079708])
    """
    return _elementwise("sigmoid", x)


@_check.spelled
def log_sigmoid(x: ArrayT, /) -> ArrayT:
    """The logarithm of the logistic function of each element, ``-log(1 + exp(-x))``.

    Parameters
    ----------
    x : array of any shape, of any library; dtypes as for :func:`sigmoid`.

    Returns
    -------
    array like x, in nats.

    Raises
    ------
    TypeError : x is not an array, or its dtype is not real.

    Notes
    -----
    -inf at -inf, 0 at +inf, NaN at NaN. Within 4 ulp wherever the true value is a normal number: far from 0 it is
    ``-exp(-x)`` for positive x, not 0. It is ``-softplus(-x)``, see docs/numerics.md.

    Examples
    --------
    >>> import numpy as np
    >>> log_sigmoid(np.asarray([-1000.0, 0.0, 40.0]))
    array([-1.00000000e+03, -6.93147181e-01, -4.24835426e-18])
    """
    return _elementwise("log_sigmoid", x)


@_check.spelled
def softplus(x: ArrayT, /) -> ArrayT:
    """``log(1 + exp(x))`` of each element.

    Parameters
    ----------
    x : array of any shape, of any library; dtypes as for :func:`sigmoid`.

    Returns
    -------
    array like x.

    Raises
    ------
    TypeError : x is not an array, or its dtype is not real.

    Notes
    -----
    0 at -inf, +inf at +inf, NaN at NaN. Within 4 ulp wherever the true value is a normal number; there is no threshold
    beyond which x is returned. Computed as ``max(x, 0) + log1p(exp(-|x|))``, see docs/numerics.md.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.asarray([-40.0, 0.0, 1000.0]))
    array([4.24835426e-18, 6.93147181e-01, 1.00000000e+03])
    """
    return _elementwise("softplus", x)
