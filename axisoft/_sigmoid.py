"""The public functions of each element by itself."""

from __future__ import annotations

from typing import Any, overload

from axisoft import _check
from axisoft._run import run
from axisoft._typing import AnyNumPy, ArrayT, Floating, FloatT, NumPy, Scalar, ShapeT


def _elementwise(function: str, x: Any, dtype: Any) -> Any:
    xp, (x,) = _check.arrays(function, x=x)
    return run(function, (x,), xp=xp, **_check.dtypes(function, xp, x, dtype))


@overload
def sigmoid(x: Scalar, /, *, dtype: Any = None) -> Any: ...
@overload
def sigmoid(x: NumPy[ShapeT, FloatT], /, *, dtype: None = None) -> NumPy[ShapeT, FloatT]: ...
@overload
def sigmoid(x: AnyNumPy[ShapeT], /, *, dtype: Any = None) -> NumPy[ShapeT, Floating]: ...
@overload
def sigmoid(x: ArrayT, /, *, dtype: Any = None) -> ArrayT: ...
@_check.spelled
def sigmoid(x: ArrayT, /, *, dtype: Any = None) -> ArrayT:
    """The logistic function of each element, ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array of any shape, of any library. Integers and booleans become the library's default floating dtype; float16
        and bfloat16 are computed in float32 and rounded once.
    dtype : floating dtype that x is cast to first. The 1025 float16 numbers from 4 to 8 have 37 sigmoids in float16,
        and in float32 one each.

    Returns
    -------
    array like x : the same library, device and shape.

    Raises
    ------
    TypeError : x is not an array, or its dtype or ``dtype`` is not real.

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
    return _elementwise("sigmoid", x, dtype)


@overload
def log_sigmoid(x: Scalar, /, *, dtype: Any = None) -> Any: ...
@overload
def log_sigmoid(x: NumPy[ShapeT, FloatT], /, *, dtype: None = None) -> NumPy[ShapeT, FloatT]: ...
@overload
def log_sigmoid(x: AnyNumPy[ShapeT], /, *, dtype: Any = None) -> NumPy[ShapeT, Floating]: ...
@overload
def log_sigmoid(x: ArrayT, /, *, dtype: Any = None) -> ArrayT: ...
@_check.spelled
def log_sigmoid(x: ArrayT, /, *, dtype: Any = None) -> ArrayT:
    """The logarithm of the logistic function of each element, ``-log(1 + exp(-x))``.

    Parameters
    ----------
    x, dtype : as for :func:`sigmoid`.

    Returns
    -------
    array like x, in nats.

    Raises
    ------
    TypeError : x is not an array, or its dtype or ``dtype`` is not real.

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
    return _elementwise("log_sigmoid", x, dtype)


@overload
def softplus(x: Scalar, /, *, dtype: Any = None) -> Any: ...
@overload
def softplus(x: NumPy[ShapeT, FloatT], /, *, dtype: None = None) -> NumPy[ShapeT, FloatT]: ...
@overload
def softplus(x: AnyNumPy[ShapeT], /, *, dtype: Any = None) -> NumPy[ShapeT, Floating]: ...
@overload
def softplus(x: ArrayT, /, *, dtype: Any = None) -> ArrayT: ...
@_check.spelled
def softplus(x: ArrayT, /, *, dtype: Any = None) -> ArrayT:
    """``log(1 + exp(x))`` of each element.

    Parameters
    ----------
    x, dtype : as for :func:`sigmoid`.

    Returns
    -------
    array like x.

    Raises
    ------
    TypeError : x is not an array, or its dtype or ``dtype`` is not real.

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
    return _elementwise("softplus", x, dtype)
