"""Types of the public signatures. Any library's array fits; what goes in is the type of what comes out.

But for NumPy, whose types say shape and dtype: there integers become floats, and a reduced loss has no axes. So the
public functions have overloads, each list of them in this order:

* NumPy's scalars, which come out as arrays. Nothing is said of those, since whatever has no type at all (``Any``) fits
  every overload, and pyright would take it for what the first one makes;
* NumPy's floats without ``dtype=``, which keep their dtype; in a loss, only float32 and float64 do;
* any of NumPy's arrays, for a result of some floating dtype;
* any other array.

Where a reduction may leave no axes, the two in the middle are there twice. The keyword arguments of a function are one
``TypedDict``, whose parameters are the types that its overloads ask about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:  # never run: importing axisoft imports no array library
    from numpy import dtype, float32, float64, floating, generic, ndarray
    from numpy.typing import NDArray


class Array(Protocol):
    """What every array has: enough to turn a list or a number away before the program runs."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=Array)
Axes = int | tuple[int, ...] | None
Reduction = Literal["none", "sum", "mean"]
Loss = Literal["cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"]
Reduced = Literal["sum", "mean"]

# NumPy's arrays.
ShapeT = TypeVar("ShapeT", bound=tuple[int, ...])
FloatT = TypeVar("FloatT", bound="floating[Any]")
LossT = TypeVar("LossT", bound="float32 | float64")
Scalar: TypeAlias = "generic"
Floating: TypeAlias = "floating[Any]"
NumPy: TypeAlias = "ndarray[ShapeT, dtype[FloatT]]"
AnyNumPy: TypeAlias = "ndarray[ShapeT, dtype[Any]]"
AnyShape: TypeAlias = "NDArray[FloatT]"
NoAxes: TypeAlias = "ndarray[tuple[()], dtype[FloatT]]"

# Of what comes out for these a facade says nothing: the first of its two overloads.
FromNumPy: TypeAlias = "ndarray[Any, Any] | generic"

# Keyword arguments.
AxisT = TypeVar("AxisT")
KeepT = TypeVar("KeepT")
HowT = TypeVar("HowT")
CastT = TypeVar("CastT")


class Softmax(TypedDict, Generic[CastT], total=False):
    axis: Axes
    where: Array | None
    dtype: CastT
    across: Any


class Logsumexp(TypedDict, Generic[AxisT, KeepT, CastT], total=False):
    axis: AxisT
    where: Array | None
    keepdims: KeepT
    dtype: CastT
    across: Any


class Nll(TypedDict, Generic[HowT], total=False):
    axis: int
    weight: Array | None
    sample_weight: Array | None
    ignore_index: int | None
    reduction: HowT
    across: Any


class CrossEntropy(TypedDict, Generic[HowT, CastT], total=False):
    axis: int
    weight: Array | None
    sample_weight: Array | None
    where: Array | None
    ignore_index: int | None
    label_smoothing: float
    z_loss: float
    reduction: HowT
    dtype: CastT
    across: Any


class Linear(TypedDict, Generic[HowT, CastT], total=False):
    weight: Array | None
    sample_weight: Array | None
    where: Array | None
    ignore_index: int | None
    label_smoothing: float
    z_loss: float
    soft_cap: float | None
    reduction: HowT
    dtype: CastT
    chunk: int | None
    across: Any


class Binary(TypedDict, Generic[HowT, CastT], total=False):
    pos_weight: Array | None
    sample_weight: Array | None
    reduction: HowT
    dtype: CastT
