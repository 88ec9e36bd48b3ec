"""The stabiliser, the sums and the look-ups that every family uses.

All of it is lazy: shapes and dtypes may decide what runs, values never do. Reductions keep their axes. A length need
not be a number: it may be a symbol that a later run fills in, or None; nothing compares one that is not.

Some of what the formulas do costs time and is not needed everywhere. A namespace may have more than the standard says:

    rounds                   true if each operation rounds its result: nothing is fused with what made x
    quiet                    true if inf - inf is NaN and no warning
    sums_in_pairs(x, axis)   whether its own sum along that axis is as accurate as one in pairs
    sums(arrays, axes)       accurate sums of several arrays of one shape, in one pass; the axes stay
    is_number(n)             whether a length is known; those that are ints, unless it says otherwise
    sized                    true if every length is
    lengths(x)               the shape of x, where x is a part of an array that goes on elsewhere: that of all of it
    over(name, a, *others)   the function of that name, written over a
    position(x, axes)        where the largest element of each slice is, as an index along the axis or in whatever way
                             take_along_axis, put_over and add_over take it; None where its value is the cheaper mark
    exponentials(x, axes)    exp(x - m) but for a factor per slice, by one kernel of the library's; None where it has
                             none
    within(index, n)         the index, clipped to what is below n
    exp_below(x, shift)      exp(x - shift), by one kernel
    product(c, t)            c * t, 0 where c is 0 whatever t is, by one kernel
    none(mask)               whether it can be told here and now that the mask is False throughout
    between(a, b, t)         (1 - t) a + t b, as accurate as its terms where t is in [0, 1] and all is finite, by one
                             kernel
    is_free_of_nan(x)        whether it can be told here and now that nothing is NaN; a no need not mean that there is
    where_true(mask, function, y, x, axes)
                             y, but ``function(x, axes)`` in the slices where the mask holds; it can look at the mask,
                             and so needs to call the function on those slices alone
    put_over(x, index, value, axis), add_over(x, index, number, axis)
                             x with ``x[index] = value`` along the axis, or with a number added there, written over x;
                             the second with position, unless exponentials has an answer
    surprisal(x, index, axis)
                             -log softmax(x)[index] by a kernel of the library that means the same; None where it has
                             none for such an x
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

# A sum in sequence of n equal terms drifts by up to n/4 ulp, since each addition is rounded the same way, and a
# compiler may turn nested sums into one in sequence. So the axis is cut into eight parts that are added to each other
# in pairs, and the same again with what comes out: equal terms then double exactly, and a term passes through about
# log2(n) + 8 additions (errors: tests/test_accuracy.py). 8 terms or fewer are summed as they are.
FOLD = 8
SHORT = 8


def _is_int(n):
    return isinstance(n, int)


def lengths(x, xp):
    return xp.lengths(x) if hasattr(xp, "lengths") else x.shape


def length(x, axis, xp):
    """How long an axis is, if that is a number; None if it is not known yet."""
    n = lengths(x, xp)[axis]
    return n if getattr(xp, "is_number", _is_int)(n) else None


def count(x, xp, axes=None):
    """How many elements x, or a slice along ``axes``, has; None if that is not known yet."""
    sized, shape = getattr(xp, "sized", False), lengths(x, xp)
    shape = shape if axes is None else [shape[i] for i in axes]
    return math.prod(shape) if sized or all(map(getattr(xp, "is_number", _is_int), shape)) else None


def extent(x, axis, xp):
    """How long an axis is, for arithmetic: a number, a symbol, or an array of it where the shape does not tell."""
    n = lengths(x, xp)[axis]
    return xp.sum(xp.ones_like(x, dtype=xp.int32), axis=axis, keepdims=True) if n is None else n


def is_empty(x, xp):
    """Whether x is known to have no elements."""
    if getattr(xp, "sized", False):
        return 0 in x.shape
    return any(n == 0 for n in lengths(x, xp) if getattr(xp, "is_number", _is_int)(n))


def spread(a, x, xp):
    """a, which broadcasts to x, in its shape."""
    return xp.broadcast_arrays(a, x)[0] if None in x.shape else xp.broadcast_to(a, x.shape)


def expand(a, axes, xp):
    """a with axes of length 1 put in."""
    for axis in sorted(axes):
        a = xp.expand_dims(a, axis=axis)
    return a


def total(x, axes, xp):
    """Sum over ``axes``, accurate whatever their lengths and the memory order."""
    if hasattr(xp, "sums"):
        return xp.sums((x,), axes)[0]
    for axis in axes:
        x = _total(x, axis, xp)
    return x


def totals(arrays, axes, xp):
    """``total`` of each of several arrays."""
    return xp.sums(arrays, axes) if hasattr(xp, "sums") else [total(x, axes, xp) for x in arrays]


def _total(x, axis, xp):
    if hasattr(xp, "sums_in_pairs") and xp.sums_in_pairs(x, axis):
        return xp.sum(x, axis=axis, keepdims=True)
    n = length(x, axis, xp)
    if n is None or n <= SHORT:
        return xp.sum(x, axis=axis, keepdims=True)
    rows = n // FOLD
    parts = [cut(x, axis, i * rows, (i + 1) * rows) for i in range(FOLD)]
    while len(parts) > 1:
        parts = [left + right for left, right in zip(parts[::2], parts[1::2], strict=True)]
    y = _total(parts[0], axis, xp)
    if n > FOLD * rows:
        y = y + xp.sum(cut(x, axis, FOLD * rows, n), axis=axis, keepdims=True)
    return y


def cut(x, axis, start, stop):
    """Elements ``start`` to ``stop`` of one axis, as a view where the library has views."""
    return x[(slice(None),) * axis + (slice(start, stop), ...)]


def none(mask, xp):
    """Whether a mask is False throughout; False also where a value may not be looked at."""
    return hasattr(xp, "none") and xp.none(mask)


def product(coefficient, t, xp, dead=None):
    """``coefficient * t``, 0 where ``dead`` whatever t is: NaN behind a mask stays there.

    Dead is what has a coefficient of 0, unless a function tells otherwise. The derivative along a dead coefficient is 0
    too. Where all is finite, 0 times it is 0 anyway: one t for many coefficients is worth a look, so is the product.
    """
    if hasattr(xp, "is_free_of_nan"):
        if t.shape != coefficient.shape and count(t, xp) < count(coefficient, xp):
            if none(~xp.isfinite(t), xp):
                return coefficient * t
        elif xp.is_free_of_nan(y := coefficient * t):
            return y
    if dead is None and hasattr(xp, "product"):
        return xp.product(coefficient, t)
    return coefficient * xp.where(coefficient == 0 if dead is None else dead(), 0.0, t)


def hide(x, where, xp):
    """``-inf`` wherever the mask is False: from here on, hidden is the same as absent."""
    return x if where is None else xp.where(where, x, -math.inf)


def visible(x, where, xp):
    """0 wherever the mask is False."""
    return x if where is None else xp.where(where, x, 0.0)


def shifted(x, axes, xp, *, empty=None, mark=True):
    """The largest element m of each slice, the shift, and m's position.

    The shift is m where that is finite, ``empty`` (if given) where all of the slice is -inf, and NaN elsewhere: the
    whole slice becomes NaN without an invalid operation (``inf - inf`` would be one). Where devices may share a slice,
    ``empty`` stands for +inf too: the sum then tells whether there is NaN beside it, which the largest element of what
    they have need not. ``mark`` : whether the position is of use; it is None where it is not, or where the value is
    cheaper to find.
    """
    at = xp.position(x, axes) if mark and hasattr(xp, "position") else None
    if at is not None:
        m = xp.take_along_axis(x, at, axis=axes[0])
    else:
        m = xp.max(x, axis=axes, keepdims=True) if axes else x
    # Where it may be formed, inf - inf is that NaN, and finite - inf makes a slice NaN by way of its sum.
    shift = m if getattr(xp, "quiet", False) else xp.where(xp.isfinite(m), m, math.nan)
    if empty is not None:
        shift = xp.where(xp.isinf(m) if hasattr(xp, "sums") else m == -math.inf, empty, shift)
    return m, shift, at


def below(x, shift, xp):
    """``x - shift`` for x no larger than the shift, exactly 0 where it is the shift.

    A compiler may fuse a product that made x into the subtraction and so use more digits of x there than the shift has;
    the difference at the largest element would be off by up to half a spacing of x, in either direction, and from 2**31
    on that is enough for exp to overflow or for every term to vanish. So a 0 that no compiler knows to be one is added
    first: the product fuses with that, which rounds it, and the subtraction stays by itself.
    """
    if not getattr(xp, "rounds", False):
        x = x + (shift - shift)
    return xp.subtract(x, shift)


def over(name, xp, a, *others):
    """The function of that name, in the memory of a, which nobody uses again, where the namespace has such a thing."""
    return xp.over(name, a, *others) if hasattr(xp, "over") else getattr(xp, name)(a, *others)


def exp_below(x, shift, xp):
    """``exp(x - shift)`` for x no larger than the shift."""
    if hasattr(xp, "exp_below"):
        return xp.exp_below(x, shift)
    return over("exp", xp, below(x, shift, xp))


def powers(x, axes, xp):
    """``exp(x - m)``, but for a factor per slice."""
    e = xp.exponentials(x, axes) if hasattr(xp, "exponentials") else None
    return exp_below(x, shifted(x, axes, xp, mark=False)[1], xp) if e is None else e


class Exponentials(NamedTuple):
    """``exp(d)`` of each slice, d = x - shift, and what tells its largest element from the others."""

    m: Any
    shift: Any
    at: Any  # where the largest element is; None where its e = 1 tells
    d: Any  # None if it is not wanted
    e: Any  # but for the factor
    top: Any  # e of the largest element
    factor: Any  # None for one


def exponentials(x, axes, xp, *, empty=None, distances=False):
    """``empty`` : as in ``shifted``. ``distances`` : whether d is wanted."""
    e = xp.exponentials(x, axes) if empty is None and hasattr(xp, "exponentials") else None
    if e is not None:
        at = xp.position(x, axes)
        m = xp.take_along_axis(x, at, axis=axes[0])
        e_m = xp.take_along_axis(e, at, axis=axes[0])
        return Exponentials(m, m, at, below(x, m, xp) if distances else None, e, e_m, e_m)
    m, shift, at = shifted(x, axes, xp, empty=empty)
    d = below(x, shift, xp) if distances else None
    e = xp.exp(d) if distances else exp_below(x, shift, xp)
    # Of an empty slice it is 0.
    return Exponentials(m, shift, at, d, e, 1.0 if at is None or empty is None else xp.exp(m - shift), None)


def others(of, axes, xp, again=True):
    """The sum of ``exp(d)`` without the slice's largest element, to full relative accuracy; and e, which may be another
    array than before. ``again`` : whether it is used again.

    Where a position tells the largest element, it is left out of the sum and put back; infinities and NaN stay, since
    they are not 0 less themselves. Otherwise it has d = 0 and e = 1, and ``e - floor(e)`` leaves it out. With others
    that have e = 1 too the sum is 2 or more, and 1 can be taken off it without losing digits.
    """
    e = of.e
    if of.at is not None:
        (axis,) = axes
        if isinstance(of.top, float):
            e = xp.add_over(e, of.at, -of.top, axis)
            rest = total(e, axes, xp)
            return rest, xp.add_over(e, of.at, of.top, axis) if again else None
        e = put(e, of.at, of.top - of.top, axis, xp)
        rest = total(e, axes, xp)
        rest = rest if of.factor is None else rest / of.factor
        return rest, put(e, of.at, of.top, axis, xp) if again else None
    if hasattr(xp, "where_true"):
        s = total(e, axes, xp)
        return xp.where_true(s < 2.0, lambda e, axes: total(e - xp.floor(e), axes, xp), s - 1.0, e, axes), e
    s, rest = totals((e, e - xp.floor(e)), axes, xp)
    return xp.where(s < 2.0, rest, s - 1.0), e


def divisor(of, rest):
    """What e has to be divided by to be the probabilities."""
    return 1.0 + rest if of.factor is None else (1.0 + rest) * of.factor


def dominant(p, axes, xp):
    """Where p > 1/2, which only one element of a slice can be: an index, and whether it is; or None, and a mark."""
    at = xp.position(p, axes) if hasattr(xp, "position") else None
    return (None, majority(p, 1.0, xp)) if at is None else (at, xp.take_along_axis(p, at, axis=axes[0]) > 0.5)


def majority(e, s, xp):
    """Where ``e / s > 1/2``: a mask, to be looked at; or, where that may not be, 1.0, and 0.0 elsewhere.

    A compiler fuses arithmetic with sums better than comparisons. Rounding takes 1/2 to 0.
    """
    return e > 0.5 * s if hasattr(xp, "none") else xp.round(e / s)


def balanced(v, large, axes, xp):
    """v, whose slices sum to 0: as it is but for the dominant element, which is minus the sum of the others.

    A softmax does not change with a shift of its logits, so a derivative along them sums to 0. The plain expression for
    it loses the digits of a dominant element only, and those are in the others. ``large`` : as ``dominant`` has it. v
    may be overwritten.

    Without an index, the sum of all is taken off there: what the plain expression is off is no more than the others
    are together, so that sum has their digits.
    """
    at, is_large = large
    if at is None and not hasattr(xp, "none"):
        return v - is_large * total(v, axes, xp)
    if none(is_large, xp):
        return v
    if at is None:
        return xp.where(is_large, v - total(v, axes, xp), v)
    (axis,) = axes
    own = xp.take_along_axis(v, at, axis=axis)
    v = put(v, at, xp.zeros_like(own), axis, xp)
    return put(v, at, xp.where(is_large, -total(v, axes, xp), own), axis, xp)


def weighted(p, t, axes, xp):
    """``p t``, 0 where p is 0 whatever t is, and its sum."""
    if hasattr(xp, "none"):  # NaN behind a p of 0 would show in the sum, which is soon looked at
        pt = p * t
        s = total(pt, axes, xp)
        if xp.none(~xp.isfinite(s)):
            return pt, s
    pt = product(p, t, xp)
    return pt, total(pt, axes, xp)


def deviation(t, p, axes, xp):
    """``p_i (t_i - sum_j p_j t_j)``, which is ``(diag(p) - p p^T) t``: a symmetric matrix, so both directions."""
    pt, mean = weighted(p, t, axes, xp)
    at_once = hasattr(xp, "product")  # else what is 0 is set so at the end, if the mean may not be finite
    p_mean = xp.product(p, mean) if at_once else p * mean
    v = balanced(over("subtract", xp, pt, p_mean), dominant(p, axes, xp), axes, xp)
    return v if at_once or none(~xp.isfinite(mean), xp) else xp.where(p == 0, 0.0, v)


def classes(x, axis, xp):
    """0, 1, 2, ... along ``axis``, shaped to broadcast against x."""
    if x.shape[axis] is None:
        return xp.cumulative_sum(xp.ones_like(x, dtype=xp.int32), axis=axis) - 1
    numbers = xp.arange(x.shape[axis], device=getattr(x, "device", None))
    return xp.reshape(numbers, along(x, axis))


def along(x, axis):
    """The shape that lays a vector along one axis of x."""
    return (1,) * axis + (-1,) + (1,) * (len(x.shape) - axis - 1)


def pick(x, index, axis, xp):
    """``x[index]`` along ``axis``; x broadcasts against index elsewhere. The index must be in range."""
    shape = (*index.shape[:axis], x.shape[axis], *index.shape[axis + 1 :])
    if hasattr(xp, "take_along_axis") and None not in shape:
        fits = count(x, xp) is not None and tuple(x.shape) == shape
        return xp.take_along_axis(x if fits else xp.broadcast_to(x, shape), index, axis=axis)
    # Lengths that a shape does not tell, and libraries from before the 2024.12 standard: one term of this sum is not
    # zero, so it is exact.
    return xp.sum(xp.where(classes(x, axis, xp) == index, x, 0.0), axis=axis, keepdims=True)


def put(x, index, value, axis, xp):
    """x with ``x[index] = value`` along ``axis``; nobody uses x again."""
    if hasattr(xp, "put_over"):
        return xp.put_over(x, index, value, axis)
    return xp.where(classes(x, axis, xp) == index, value, x)


def sum_to(x, shape, xp):
    """The transpose of broadcasting an array of ``shape``: sum over what it was spread over."""
    lead = len(x.shape) - len(shape)
    axes = tuple(i for i, n in enumerate(x.shape) if i < lead or (shape[i - lead] == 1 and n != 1))
    y = total(x, axes, xp)
    return xp.squeeze(y, axis=tuple(range(lead))) if lead else y
