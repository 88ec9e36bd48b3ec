"""Argument checks, and every error text.

One grammar: ``function: what is wrong, with the value; the way out.`` The tests hold each text word for word.
"""

from axisoft._check.arrays import arrays
from axisoft._check.axes import axes, axis_of, broadcasts, channels, mask, over_axes, same_shape
from axisoft._check.classes import indices, labels, over_classes, over_labels
from axisoft._check.diagnosed import loss, readable
from axisoft._check.dtypes import dtypes, kind_of
from axisoft._check.functions import cotangent, differentiable, names, no_axes, own_function, places, planned
from axisoft._check.lengths import lengths
from axisoft._check.linear import over_layer
from axisoft._check.options import flag, integer, number, reduction, threads, threads_in
from axisoft._check.slips import spelled

__all__ = [
    "arrays",
    "axes",
    "axis_of",
    "broadcasts",
    "channels",
    "cotangent",
    "differentiable",
    "dtypes",
    "flag",
    "indices",
    "integer",
    "kind_of",
    "labels",
    "lengths",
    "loss",
    "mask",
    "names",
    "no_axes",
    "number",
    "over_axes",
    "over_classes",
    "over_labels",
    "over_layer",
    "own_function",
    "places",
    "planned",
    "readable",
    "reduction",
    "same_shape",
    "spelled",
    "threads",
    "threads_in",
]
