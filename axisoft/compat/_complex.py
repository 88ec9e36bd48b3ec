"""Complex numbers, which SciPy and jax.nn take: the softmaxes and logsumexp of them, in real arithmetic.

With ``a_j = r_j + i f_j`` and the largest term ``first`` (by its modulus, then by f), the sum is

    sum_j b_j exp(a_j) = |b| exp(r) u (1 + z),   u = b/|b| exp(i f) at first,
    z = sum_{j not first} |b_j/b| exp(r_j - r) (b_j/|b_j|) conj(b/|b|) exp(i (f_j - f)),

so no term overflows, and ``log|1 + z|`` is half of log1p of ``2 Re z + |z|^2`` where z is small: a dominant term keeps
its digits. The phase is that of ``u (1 + z)``, in (-pi, pi].
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from axisoft import _backends, _check
from axisoft._core.stable import total
from axisoft.compat import _shared

Pair = tuple[Any, Any]


class _Sum(NamedTuple):
    """A sum along the last axis, which is kept."""

    sound: Any  # False where no term is the largest: it is infinite, or NaN, or nothing counts
    log: Any  # r + log|b|, in two parts: that of the largest r, and what there is besides
    more_log: Any
    unit: Pair  # u
    z: Pair
    away: Any  # of each term: the logarithm of its modulus over the first's, and its phase less the first's
    turn: Any


def logsumexp(function: str, a: Any, axis: Any, b: Any, keepdims: bool, return_sign: bool, where: Any) -> Any:
    """As in SciPy and JAX: the principal logarithm of the sum, or the logarithm of its modulus and its phase."""
    xp, (a, b, where) = _arrays(function, a=a, b=b, where=where)
    dtype = _shared.combined(xp, a) if b is None else _shared.combined(xp, a, b)
    shapes = {name: tuple(x.shape) for name, x in (("a", a), ("b", b), ("where", where)) if x is not None}
    a = xp.broadcast_to(a, _shared.common_shape(function, **shapes))
    axes = _check.axes(function, axis, a, "a")
    _check.mask(function, where, a, xp, "a")
    seen, full = where, tuple(a.shape)
    if b is not None:
        b = xp.astype(xp.broadcast_to(b, full), dtype, copy=False)
        seen = b != 0 if where is None else where & (b != 0)
    a = xp.astype(a, dtype, copy=False)
    last = [None if x is None else _shared.axes_last(xp, xp.broadcast_to(x, full), axes) for x in (a, b, seen)]
    with _shared.quiet(xp):
        value, sign = _log_of_sum(xp, *last)
    shape = tuple(1 if i in axes else n for i, n in enumerate(full))
    if not keepdims:
        shape = tuple(n for i, n in enumerate(full) if i not in axes)
    if return_sign:
        return xp.reshape(xp.real(value), shape), xp.reshape(sign, shape)
    return xp.reshape(value, shape)


def softmax(function: str, x: Any, axis: Any, where: Any = None) -> Any:
    """``exp(x) / sum(exp(x))``: NaN throughout beside an infinite or a NaN real part, 0 where hidden."""
    return _over(function, x, axis, where, _softmax)


def log_softmax(function: str, x: Any, axis: Any, where: Any = None) -> Any:
    """``x - first - log(sum(exp(x - first)))``, as SciPy and JAX have its branch; -inf where hidden."""
    return _over(function, x, axis, where, _log_softmax)


def sigmoid(function: str, x: Any) -> Any:
    """The softmax of x and 0."""
    return _beside_0(function, x, lambda xp, pair: _softmax(xp, pair, None)[..., 0])


def softplus(function: str, x: Any) -> Any:
    """The logsumexp of x and 0."""
    return _beside_0(function, x, lambda xp, pair: _log_of_sum(xp, pair, None, None)[0][..., 0])


def _arrays(function: str, **named: Any) -> tuple[Any, list[Any]]:
    """The arrays of one library: what holds for real numbers is asked of their real parts."""
    real = {name: _backends.namespace(a).real(a) if _shared.is_complex(a) else a for name, a in named.items()}
    xp, checked = _check.arrays(function, **real)
    found = []
    for a, part, sound in zip(named.values(), real.values(), checked, strict=True):
        if part is a:
            found.append(sound)
        else:
            found.append(a if sound is part else xp.asarray(a))  # NumPy's beside JAX's
    return xp, found


def _made(xp: Any, real: Any, imaginary: Any) -> Any:
    """A complex array of finite parts, or of infinite real ones: ``inf * 1j`` has a real part of NaN."""
    dtype = xp.complex128 if real.dtype == xp.float64 else xp.complex64
    return xp.astype(real, dtype) + xp.astype(imaginary, dtype) * 1j


def _summed(xp: Any, a: Any, b: Any, seen: Any) -> _Sum:
    """The sum along the last axis. What is not sound is as if all were 1: nothing there is invalid or overflows."""
    r, f = xp.real(a), xp.imag(a)
    size = None if b is None else xp.abs(xp.where(b == 0, 1.0, b))
    top = xp.max(r if seen is None else xp.where(seen, r, -math.inf), axis=-1, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0.0)
    t = r - top if size is None else r - top + xp.log(size)
    t = t if seen is None else xp.where(seen, t, -math.inf)
    largest = xp.max(t, axis=-1, keepdims=True)
    sound = xp.isfinite(largest)
    t, largest = xp.where(sound, t, 0.0), xp.where(sound, largest, 0.0)
    gone = t == -math.inf  # of such a term not even an infinite phase counts
    f = xp.where(sound & ~gone, f, 0.0)
    highest = xp.max(xp.where(t == largest, f, -math.inf), axis=-1, keepdims=True)
    count = a.shape[-1]
    numbers = xp.arange(count, dtype=xp.int32, device=getattr(a, "device", None))  # argmax needs int64 on any device
    place = xp.min(xp.where((t == largest) & (f == highest), numbers, count), axis=-1, keepdims=True)
    first = numbers == place

    def at_first(x: Any) -> Any:
        return xp.sum(xp.where(first, x, 0.0), axis=-1, keepdims=True)

    away, turn = t - largest, f - at_first(f)
    unit = xp.cos(at_first(f)), xp.sin(at_first(f))
    e = xp.where(first, 0.0, xp.exp(away))
    terms = e * xp.cos(turn), e * xp.sin(turn)
    if b is not None:
        direction = xp.real(b) / size, xp.imag(b) / size
        own = at_first(direction[0]), at_first(direction[1])
        unit, terms = _times(unit, own), _times(_times(terms, direction), (own[0], -own[1]))
    last = (len(a.shape) - 1,)
    z = [total(part, last, xp) for part in terms]  # type: ignore[no-untyped-call]
    return _Sum(sound, top, largest, unit, (z[0], z[1]), away, turn)


def _times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _log_modulus(xp: Any, z: Pair) -> Any:
    """``log|1 + z|``."""
    p, q = xp.abs(1.0 + z[0]), xp.abs(z[1])
    large, small = xp.maximum(p, q), xp.minimum(p, q)
    nothing = large == 0
    large = xp.where(nothing, 1.0, large)
    far = xp.where(nothing, -math.inf, xp.log(large) + 0.5 * xp.log1p((small / large) ** 2))
    near = z[0] * (2.0 + z[0]) + z[1] * z[1]
    is_near = xp.abs(near) < 0.5
    return xp.where(is_near, 0.5 * xp.log1p(xp.where(is_near, near, 0.0)), far)


def _log_of_sum(xp: Any, a: Any, b: Any, seen: Any) -> Pair:
    """The complex logarithm of the sum, and its phase as a number of modulus 1 (0 for a sum of 0); the axis is kept.

    What is not sound is taken as it is written, with the library's own exp and log: the conventions of C99 for infinite
    numbers, as in SciPy and JAX.
    """
    if a.shape[-1] == 0:
        zero = xp.sum(a, axis=-1, keepdims=True)
        return _made(xp, xp.real(zero) - math.inf, xp.real(zero)), zero
    found = _summed(xp, a, b, seen)
    p, q = _times(found.unit, (1.0 + found.z[0], found.z[1]))
    log_modulus = _log_modulus(xp, found.z)
    nothing = (p == 0) & (q == 0)
    phase = xp.atan2(q, xp.where(nothing, 1.0, p))
    phase = xp.where(phase <= -math.pi, math.pi, phase)
    value = _made(xp, found.log + (found.more_log + log_modulus), phase)
    modulus = xp.exp(xp.where(nothing, 0.0, log_modulus))
    sign = _made(xp, p / modulus, q / modulus)
    terms = xp.exp(xp.where(found.sound, xp.zeros_like(a), a))
    terms = terms if b is None else b * terms
    terms = terms if seen is None else xp.where(seen, terms, xp.zeros_like(terms))
    plain = xp.sum(terms, axis=-1, keepdims=True)
    plain = xp.where(found.sound, xp.ones_like(plain), plain)
    return xp.where(found.sound, value, xp.log(plain)), xp.where(found.sound, sign, xp.sign(plain))


def _softmax(xp: Any, x: Any, where: Any) -> Any:
    found = _summed(xp, x, None, where)
    e = xp.exp(found.away)
    y = _made(xp, e * xp.cos(found.turn), e * xp.sin(found.turn)) / _made(xp, 1.0 + found.z[0], found.z[1])
    y = xp.where(found.sound, y, math.nan)
    return y if where is None else xp.where(where, y, xp.zeros_like(y))


def _log_softmax(xp: Any, x: Any, where: Any) -> Any:
    found = _summed(xp, x, None, where)
    y = _made(xp, found.away - _log_modulus(xp, found.z), found.turn - xp.atan2(found.z[1], 1.0 + found.z[0]))
    y = xp.where(found.sound, y, math.nan)
    return y if where is None else xp.where(where, y, -math.inf)


def _over(function: str, x: Any, axis: Any, where: Any, run: Any) -> Any:
    xp, (x, where) = _arrays(function, x=x, where=where)
    axes = _check.axes(function, axis, x)
    _check.mask(function, where, x, xp)
    if 0 in x.shape:
        return xp.zeros_like(x)
    shape = tuple(x.shape)
    flat = _shared.axes_last(xp, x, axes)
    seen = None if where is None else _shared.axes_last(xp, xp.broadcast_to(where, shape), axes)
    with _shared.quiet(xp):
        return _shared.axes_back(xp, run(xp, flat, seen), shape, axes)


def _beside_0(function: str, x: Any, run: Any) -> Any:
    xp, (x,) = _arrays(function, x=x)
    with _shared.quiet(xp):
        return run(xp, xp.stack([x, xp.zeros_like(x)], axis=-1))
