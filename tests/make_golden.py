"""Make the golden values in axisoft/golden with mpmath, from the definitions alone.

    python tests/make_golden.py            write the files
    python tests/make_golden.py --check    compare with the files that are there; exit status 1 on any difference

No line of this file uses axisoft. Inputs are drawn from Python's own generator, rounded to the dtype of the case, and
read as exact numbers; results keep some 106 bits, as the sum of two floats in hexadecimal.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import random
import struct
import sys
from pathlib import Path

import mpmath
from mpmath import mp, mpf

VERSION = 2
SEED = 20210206
DIGITS = 400  # log(1 + exp(-700)) keeps 90 digits
HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "axisoft" / "golden"
FLOATS = ("float16", "bfloat16", "float32", "float64")
INF, NAN = math.inf, math.nan

mp.dps = DIGITS


# Numbers ------------------------------------------------------------------------------------------------------------


def rounded(value: float, dtype: str) -> float:
    """The number of the dtype nearest to value, ties to even."""
    if not math.isfinite(value) or dtype == "float64":
        return value
    if dtype == "bfloat16":
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return struct.unpack("<f", struct.pack("<I", bits))[0]
    code = {"float16": "<e", "float32": "<f"}[dtype]
    return struct.unpack(code, struct.pack(code, value))[0]


def pair(value) -> tuple[str, str]:
    """A number as the float nearest to it, and the float nearest to what that leaves."""
    if isinstance(value, float):
        return value.hex(), (0.0).hex()
    high = float(value)
    low = 0.0 if math.isinf(high) else float(value - mpf(high))
    return high.hex(), low.hex()


def exact(value: float):
    return mpf(value) if math.isfinite(value) else value


# Arrays are flat lists with a shape ----------------------------------------------------------------------------------


def flat_index(shape, index):
    i = 0
    for n, k in zip(shape, index, strict=True):
        i = i * n + k
    return i


def slices(shape, axes):
    """For each slice over ``axes``, in order of the other axes, the flat positions of its elements."""
    outer = [range(1) if a in axes else range(n) for a, n in enumerate(shape)]
    inner = [range(n) if a in axes else range(1) for a, n in enumerate(shape)]
    for base in itertools.product(*outer):
        yield [
            flat_index(shape, [b + o for b, o in zip(base, offset, strict=True)])
            for offset in itertools.product(*inner)
        ]


# Definitions ----------------------------------------------------------------------------------------------------------


def sigmoid(x):
    if math.isnan(x):
        return NAN
    if math.isinf(x):
        return 1.0 if x > 0 else 0.0
    return 1 / (1 + mp.exp(-exact(x)))


def softplus(x):
    if math.isnan(x):
        return NAN
    if math.isinf(x):
        return INF if x > 0 else 0.0
    return mp.log(1 + mp.exp(exact(x)))


def log_sigmoid(x):
    y = softplus(-x)
    return y if isinstance(y, float) and math.isnan(y) else -y


ELEMENTWISE = {"sigmoid": sigmoid, "log_sigmoid": log_sigmoid, "softplus": softplus}


def logsumexp(row):
    """``row``: the visible numbers of a slice, with how often each occurs."""
    if any(math.isnan(v) for v, _ in row):
        return NAN
    if any(v == INF for v, _ in row):
        return INF
    finite = [(v, n) for v, n in row if v != -INF]
    if not finite:
        return -INF
    m = max(v for v, _ in finite)
    return exact(m) + mp.log(mp.fsum(n * mp.exp(exact(v) - exact(m)) for v, n in finite))


def log_softmax_of(x, lse):
    """One element's log-probability, given its slice's logsumexp."""
    if isinstance(lse, float):  # NaN, or an infinity: no softmax
        return NAN
    return -INF if x == -INF else exact(x) - lse


def softmax_of(x, lse):
    y = log_softmax_of(x, lse)
    return y if isinstance(y, float) and math.isnan(y) else (0.0 if y == -INF else mp.exp(y))


def plus(*terms):
    """A sum in which NaN and infinities behave as in arithmetic."""
    special = [t for t in terms if isinstance(t, float) and not math.isfinite(t)]
    if special:
        return sum(special)
    return mp.fsum(exact(t) if isinstance(t, float) else t for t in terms)


def scaled(weight, value):
    """``weight * value`` where a weight of 0 gives 0, whatever it multiplies."""
    if weight == 0:
        return mpf(0)
    if isinstance(value, float) and not math.isfinite(value):
        return value if math.isnan(value) else float(mp.sign(weight)) * value
    return exact(weight) * value if isinstance(weight, float) else weight * value


def negative(value):
    return -value


def sample_loss(row, visible, target, weight, factor, smoothing, z_loss, ignore_index):
    """Loss and weight of one sample. ``target``: a class, or a list of probabilities."""
    count = len(row)
    if isinstance(target, int) and target == ignore_index:
        return mpf(0), mpf(0)
    t = [mpf(0)] * count if isinstance(target, int) else [exact(v) for v in target]
    if isinstance(target, int):
        t[target] = mpf(1)
    class_weight = mp.fsum(a * exact(w) for a, w in zip(t, weight, strict=True))
    if class_weight * exact(factor) == 0:
        return mpf(0), mpf(0)
    lse = logsumexp([(v, 1) for v, see in zip(row, visible, strict=True) if see])
    if not any(visible):
        h = [INF] * count
    else:
        h = [negative(log_softmax_of(v, lse)) if see else INF for v, see in zip(row, visible, strict=True)]
        if any(isinstance(v, float) and math.isnan(v) for v in h):
            return NAN, exact(factor) * class_weight
    k = max(sum(visible), 1)
    s = exact(smoothing)
    terms = [scaled((1 - s) * a * exact(w), v) for a, w, v in zip(t, weight, h, strict=True)]
    terms += [scaled(s / k * exact(w), v) for w, v, see in zip(weight, h, visible, strict=True) if see]
    if z_loss:
        square = INF if isinstance(lse, float) else lse * lse
        terms.append(scaled(exact(z_loss) * class_weight, square))
    return scaled(exact(factor), plus(*terms)), exact(factor) * class_weight


def reduced(losses, weights, how):
    if how == "none":
        return losses
    whole = plus(*losses)
    if how == "sum":
        return [whole]
    over = mp.fsum(weights)
    if over == 0:
        return [mpf(0)]
    return [whole if isinstance(whole, float) and not math.isfinite(whole) else exact(whole) / over]


def reference(function, arrays, options):
    """The flat results of a case."""
    values = {name: a["values"] for name, a in arrays.items()}
    if function in ELEMENTWISE:
        return [ELEMENTWISE[function](v) for v in values["x"]]
    if function in ("softmax", "log_softmax", "logsumexp"):
        return over_axes(function, arrays["x"], values.get("where"), options)
    if function == "binary_cross_entropy_with_logits":
        return binary(values, arrays, options)
    return classified(function, values, arrays, options)


def over_axes(function, x, where, options):
    shape, v = x["shape"], x["values"]
    axis = options.get("axis", None if function == "logsumexp" else -1)
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = [a % len(shape) for a in axes]
    result = {}
    for number, places in enumerate(slices(shape, axes)):
        seen = [i for i in places if where is None or where[i]]
        lse = logsumexp([(v[i], 1) for i in seen])
        if function == "logsumexp":
            result[number] = lse
            continue
        for i in places:
            hidden = 0.0 if function == "softmax" else -INF
            one = softmax_of if function == "softmax" else log_softmax_of
            result[i] = one(v[i], lse) if i in seen else hidden
    return [result[i] for i in range(len(result))]


def classified(function, values, arrays, options):
    return reduced(*losses_and_weights(function, values, arrays, options), options.get("reduction", "mean"))


def losses_and_weights(function, values, arrays, options):
    name = "logits" if function == "cross_entropy" else "log_probs"
    shape, x = arrays[name]["shape"], values[name]
    axis = options.get("axis", -1) % len(shape)
    count = shape[axis]
    weight = values.get("weight", [1.0] * count)
    samples = list(slices(shape, [axis]))
    factor = values.get("sample_weight", [1.0] * len(samples))
    targets = values["targets"]
    losses, weights = [], []
    for number, places in enumerate(samples):
        row = [x[i] for i in places]
        visible = [values["where"][i] for i in places] if "where" in values else [True] * count
        target = [targets[i] for i in places] if arrays["targets"]["dtype"] != "int" else targets[number]
        rest = (weight, factor[number], options.get("label_smoothing", 0.0), options.get("z_loss", 0.0))
        if function == "cross_entropy":
            loss, w = sample_loss(row, visible, target, *rest, options.get("ignore_index"))
        elif target == options.get("ignore_index"):
            loss, w = mpf(0), mpf(0)
        else:
            w = exact(weight[target]) * exact(factor[number])
            loss = scaled(w, -exact(row[target]))
        losses.append(loss)
        weights.append(w)
    return losses, weights


def binary(values, arrays, options):
    x, t = values["logits"], values["targets"]
    pos = values.get("pos_weight", [1.0])
    factor = values.get("sample_weight", [1.0] * len(x))
    losses, weights = [], []
    for i, (v, label) in enumerate(zip(x, t, strict=True)):
        f, label = exact(factor[i]), exact(label)
        terms = scaled(exact(pos[i % len(pos)]) * label, softplus(-v)), scaled(1 - label, softplus(v))
        losses.append(scaled(f, plus(*terms)))
        weights.append(f)
    return reduced(losses, weights, options.get("reduction", "mean"))


# Derivatives ----------------------------------------------------------------------------------------------------------
#
# They are central differences of the definitions above: with a step of 1e-100 and 700 digits, some 200 of these are
# right, for the smallest numbers of every dtype too. What is promised of a derivative is said of its terms, since their
# sum may cancel: the products of a cotangent and one entry of the Jacobian. A term has a size, and a distance: how far
# the exponents in it lie below the largest, by whose roundings its relative error grows.

STEP = mpf(10) ** -100
FAR_BELOW = -1e6  # for -inf: exp of it is 0 to 400 000 digits, so the limit is what comes out


def gradient(function, arrays, options, cotangent):
    """The derivative of the sum of cotangent times result along each element of the first array."""
    first = next(iter(arrays))
    values = [FAR_BELOW if v == -INF else v for v in arrays[first]["values"]]
    found = []
    with mp.workdps(700):
        for i, v in enumerate(values):
            up, down = (
                reference(function, {**arrays, first: {**arrays[first], "values": moved}}, options)
                for moved in ([*values[:i], mpf(v) + h, *values[i + 1 :]] for h in (STEP, -STEP))
            )
            # What a mask hides of a result is -inf, whatever x is.
            slopes = [0 if a == b else (a - b) / (2 * STEP) for a, b in zip(up, down, strict=True)]
            found.append(mp.fsum(mpf(g) * slope for g, slope in zip(cotangent, slopes, strict=True)))
    return found


def terms(function, arrays, options, cotangent, found):
    """For each element of the first array, sizes and distances of the terms of its derivative."""
    values = {name: a["values"] for name, a in arrays.items()}
    first = next(iter(arrays))
    if function in ELEMENTWISE or function == "nll_loss":  # one term
        return [[(abs(d), 0)] for d in found]
    if function in ("softmax", "log_softmax", "logsumexp"):
        return terms_over_axes(function, arrays["x"], values.get("where"), options, cotangent)
    shape = arrays[first]["shape"]
    if function == "binary_cross_entropy_with_logits":
        pos = values.get("pos_weight", [1.0])
        own = [exact(f) for f in values.get("sample_weight", [1.0] * len(values[first]))]
        factor = scales_of_samples(cotangent, options, own)
        rows = zip(factor, values[first], values["targets"], itertools.cycle(pos))
        return [[(f * w * t * sigmoid(-v), 0), (f * (1 - t) * sigmoid(v), 0)] for f, v, t, w in rows]
    samples = list(slices(shape, [options.get("axis", -1) % len(shape)]))
    own = [exact(f) for f in values.get("sample_weight", [1.0] * len(samples))]
    _, weights = losses_and_weights(function, values, arrays, options)
    factor = scales_of_samples(cotangent, options, own, weights)
    return terms_of_cross_entropy(values, arrays, options, samples, factor)


def scales_of_samples(cotangent, options, own, weights=None):
    """What each sample's loss is multiplied by: its weight, its cotangent, and for a mean the sum of the weights."""
    how = options.get("reduction", "mean")
    over = mp.fsum(own if weights is None else weights) if how == "mean" else mpf(1)
    g = cotangent if how == "none" else cotangent * len(own)
    return [abs(mpf(a) * f / over) if over else mpf(0) for a, f in zip(g, own, strict=True)]


def probabilities(row):
    """Softmax of a row of visible numbers; how far each lies below the largest, and how far the others do."""
    lse = logsumexp([(v, 1) for v in row])
    p = [softmax_of(v, lse) for v in row]
    below = [max(row) - v if v > -INF else 0 for v in row]
    others = [max(row) - max((w for w in row[:i] + row[i + 1 :] if w > -INF), default=v) for i, v in enumerate(row)]
    return lse, p, below, others


def terms_over_axes(function, x, where, options, cotangent):
    shape, v = x["shape"], x["values"]
    axis = options.get("axis", None if function == "logsumexp" else -1)
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    found = {i: [] for i in range(len(v))}
    for number, places in enumerate(slices(shape, [a % len(shape) for a in axes])):
        seen = [i for i in places if where is None or where[i]]
        _, p, below, others = probabilities([v[i] for i in seen])
        for a, i in enumerate(seen):
            if function == "logsumexp":
                found[i].append((abs(cotangent[number]) * p[a], below[a]))
                continue
            for b, j in enumerate(seen):
                g = abs(mpf(cotangent[j]))
                rest = mp.fsum(q for c, q in enumerate(p) if c != a)
                entry = (rest, others[a]) if a == b else (p[a], below[a])
                if function == "softmax":  # times the probability of the result
                    entry = (entry[0] * p[b], entry[1] + below[b])
                found[i].append((g * entry[0], entry[1]))
    return [found[i] for i in range(len(v))]


def terms_of_cross_entropy(values, arrays, options, samples, factor):
    x, count = values["logits"], len(samples[0])
    weight = [exact(w) for w in values.get("weight", [1.0] * count)]
    s, z = exact(options.get("label_smoothing", 0.0)), exact(options.get("z_loss", 0.0))
    found = {i: [] for i in range(len(x))}
    for number, places in enumerate(samples):
        seen = [c for c, i in enumerate(places) if "where" not in values or values["where"][i]]
        targets = values["targets"]
        if arrays["targets"]["dtype"] == "int":
            t = [mpf(c == targets[number]) for c in range(count)]
            if targets[number] == options.get("ignore_index"):
                continue
        else:
            t = [exact(targets[i]) for i in places]
        lse, p, below, others = probabilities([x[places[c]] for c in seen])
        total = mp.fsum(a * w for a, w in zip(t, weight, strict=True))
        share = {c: (1 - s) * t[c] * weight[c] + s / len(seen) * weight[c] for c in seen}
        for a, c in enumerate(seen):
            terms = found[places[c]]
            rest = mp.fsum(q for b, q in enumerate(p) if b != a)
            for d in seen:
                entry = (rest, others[a]) if c == d else (p[a], below[a])
                terms.append((factor[number] * share[d] * entry[0], entry[1]))
            size = max(abs(lse), abs(max(x[places[d]] for d in seen)), 1)
            terms.append((factor[number] * 2 * z * size * total * p[a], below[a]))
    return [found[i] for i in range(len(x))]


def tolerance(terms):
    """The sum of the sizes, and the mean distance, weighted by the sizes; to a few digits."""
    size = mp.fsum(a for a, _ in terms)
    distance = mp.fsum(a * d for a, d in terms) / size if size else 0
    return float(mpf(size)).hex(), float(f"{float(distance):.6g}")


# The cases whose gradients are golden values too, in the dtypes that gradients are usually taken in.
WITH_GRADIENT = {
    **dict.fromkeys(ELEMENTWISE, ("near zero", "whole range", "wide", "twenty")),
    "softmax": (
        "slides over 0", "slides over (0, 2)", "slides, softmax2d", "spread 0.1", "spread 1.0", "spread 20.0",
        "spread 200.0", "offset up", "offset down", "dominant by 5.0", "dominant by 20.0", "dominant by 40.0",
        "dominant by 80.0", "one of two", "ties", "two at the top", "nearly tied", "one element", "some -inf", "mask",
        "mask over all", "largest behind the mask", "1001 of seven kinds", "100000 with one far above",
        "100000 with one a little above", "99999 of three kinds",
    ),
    "cross_entropy": (
        "plain, none", "plain, mean", "probabilities, none", "probabilities, sum", "weights, none", "weights, mean",
        "weights and probabilities, mean", "everything, none", "everything, mean", "smoothing and weights, mean",
        "smoothing, weights and probabilities, none", "smoothing, weights and probabilities, mean", "z-loss",
        "mask and smoothing", "one-hot", "channel axis", "channel axis, mean", "logits near 1e6", "one class",
        "100000, the target far above", "100000, the target among them",
        *(f"{how} by {gap}" for how in ("confident", "wrong") for gap in (1.0, 10.0, 20.0, 40.0, 80.0)),
        *(f"confident by {gap}, one-hot" for gap in (10.0, 20.0, 40.0)),
    ),
    "nll_loss": ("plain, mean", "weights and ignored, mean", "weights, none", "first axis"),
    "binary_cross_entropy_with_logits": (
        "labels and weights, none", "soft labels, mean", "soft labels and weights, mean", "whole range, label 0",
        "whole range, label 1", "slides",
    ),
}  # fmt: skip
WITH_GRADIENT["log_softmax"] = WITH_GRADIENT["logsumexp"] = WITH_GRADIENT["softmax"]


# Cases ----------------------------------------------------------------------------------------------------------------


class Maker:
    def __init__(self):
        self.cases = {}
        self.random = random.Random(SEED)
        self.cotangents = random.Random(SEED + 1)

    def add(self, function, name, arrays, dtype, pick=None, **options):
        """One case. ``arrays``: name to (values, shape) or (values, shape, "bool" or "int")."""
        made = {}
        for key, (values, shape, *kind) in arrays.items():
            own = kind[0] if kind else dtype
            if own in FLOATS:
                values = [rounded(float(v), own) for v in values]
            made[key] = {"dtype": own, "shape": list(shape), "values": list(values)}
        results = reference(function, made, options)
        case = {"name": name, "dtype": dtype, "arrays": {k: stored(a) for k, a in made.items()}, "options": options}
        self.keep(function, case, results)
        if dtype in ("float32", "float64") and name in WITH_GRADIENT[function]:
            one = len(results) == 1 and options.get("reduction") != "none"
            g = [1.0] if one else [rounded(v, dtype) for v in normal(self.cotangents, len(results))]
            found = gradient(function, made, options, g)
            tolerances = [tolerance(t) for t in terms(function, made, options, g, found)]
            cotangent = {"dtype": dtype, "values": [v.hex() for v in g]}
            self.keep(function, {**case, "cotangent": cotangent}, found, tolerances)

    def keep(self, function, case, results, tolerances=None):
        high, low = zip(*(pair(r) for r in results), strict=True) if results else ((), ())
        case = {**case, "high": list(high), "low": list(low)}
        if tolerances is not None:
            case["scale"], case["slack"] = (list(part) for part in zip(*tolerances, strict=True))
        self.cases.setdefault(function, []).append(case)

    def add_of(self, function, dtype, name, arrays, **options):
        self.add(function, name, arrays, dtype, **options)

    def long(self, function, name, tile, repeat, dtype, last=None, **options):
        """A long slice: a pattern that repeats, whose last element may be another. Judged where elements differ."""
        tile = [rounded(float(v), dtype) for v in tile]
        last = tile[-1] if last is None else rounded(float(last), dtype)
        count = len(tile) * repeat
        row = [(v, repeat) for v in tile[:-1]] + [(tile[-1], repeat - 1), (last, 1)]
        lse = logsumexp(row)
        picked = [*range(len(tile)), count - 1]
        at = [*tile, last]
        if repeat == 1:
            at[len(tile) - 1] = last
        arrays = {"dtype": dtype, "shape": [count], "tile": [v.hex() for v in tile], "last": last.hex()}
        if function == "logsumexp":
            results, picked = [lse], None
        elif function == "cross_entropy":
            target = options.pop("target")
            results, picked = (
                [negative(log_softmax_of(last if target == count - 1 else tile[target % len(tile)], lse))],
                None,
            )
        else:
            one = softmax_of if function == "softmax" else log_softmax_of
            results = [one(v, lse) for v in at]
        first = "logits" if function == "cross_entropy" else "x"
        made = {first: arrays}
        if function == "cross_entropy":
            made["targets"] = {"dtype": "int", "shape": [], "values": [target]}
        case = {"name": name, "dtype": dtype, "arrays": made, "options": options}
        self.keep(function, {**case, "pick": picked}, results)
        if dtype in ("float32", "float64") and name in WITH_GRADIENT[function]:
            self.long_gradient(function, case, tile, repeat, last, lse)

    def long_gradient(self, function, case, tile, repeat, last, lse):
        """As ``gradient`` and ``terms``, in closed form: a slice of a few kinds of elements."""
        values, count = [*tile, last], len(tile) * repeat
        number = [repeat] * (len(tile) - 1) + [repeat - 1, 1]
        p = [softmax_of(v, lse) for v in values]
        below = [max(values) - v for v in values]
        alone = number[values.index(max(values))] == 1
        second = max(v for v in values if v < max(values)) if alone else max(values)
        others = [max(values) - second if v == max(values) else 0.0 for v in values]
        picked = [*range(len(tile)), count - 1]
        if function in ("softmax", "log_softmax"):
            g = [rounded(v, case["dtype"]) for v in normal(self.cotangents, len(values))]
            cotangent = {"shape": [count], "tile": [v.hex() for v in g[:-1]], "last": g[-1].hex()}
            log = function == "log_softmax"
            whole = mp.fsum(n * mpf(a) * (1 if log else q) for n, a, q in zip(number, g, p, strict=True))
            found = [mpf(a) - q * whole if log else q * (mpf(a) - whole) for a, q in zip(g, p, strict=True)]
            tolerances = []
            for a, q in enumerate(p):
                by, far = (1, 0) if log else (q, below[a])
                parts = [(abs(mpf(g[a])) * (1 - q) * by, others[a] + far)]
                for b, r in enumerate(p):
                    by, far = (1, 0) if log else (r, below[b])
                    parts.append((abs(mpf(g[b])) * (number[b] - (a == b)) * q * by, below[a] + far))
                tolerances.append(tolerance(parts))
        else:
            cotangent = {"values": [(1.0).hex()]}
            found, tolerances = p, [tolerance([(q, d)]) for q, d in zip(p, below, strict=True)]
            if function == "cross_entropy":
                (target,) = case["arrays"]["targets"]["values"]
                kind = len(tile) if target == count - 1 else target % len(tile)
                picked, found = [*picked, target], [*p, p[kind] - 1]
                tolerances.append(tolerance([(1 - p[kind], others[kind])]))
                if target in picked[:-1]:
                    del picked[kind], found[kind], tolerances[kind]
        cotangent = {"dtype": case["dtype"], **cotangent}
        self.keep(function, {**case, "pick": picked, "cotangent": cotangent}, found, tolerances)

    def normal(self, count, scale=1.0, offset=0.0):
        return [offset + scale * v for v in normal(self.random, count)]

    def simplex(self, rows, count):
        result = []
        for _ in range(rows):
            raw = [self.random.random() ** 2 for _ in range(count)]
            result += [v / sum(raw) for v in raw]
        return result


def normal(source, count):
    """Nearly normal numbers, by additions alone: the same on every machine, whatever its logarithm."""
    return [math.fsum(source.random() for _ in range(12)) - 6.0 for _ in range(count)]


def stored(a):
    values = [v.hex() for v in a["values"]] if a["dtype"] in FLOATS else [int(v) for v in a["values"]]
    return {**a, "values": values}


SLIDES = {
    "segmentation": [-3, -1, 0, -2, 4, 1, -1, -3, -2, -5, 3, -3, -5, 2, 0, -1],
    "wafer": [-2, -1, 0, 2, -4, -3, -1, -3, 5, 5, 3, -3, 2, 1, 0, 2],
}
TINY = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38, "float64": 1.7e308}


def make_elementwise(m):
    for function, dtype in itertools.product(ELEMENTWISE, FLOATS):
        edge = float(-mp.log(TINY[dtype]))
        m.add(function, "slides", {"x": (SLIDES["segmentation"], (4, 2, 2))}, dtype)
        m.add(function, "wafer", {"x": (SLIDES["wafer"], (4, 2, 2))}, dtype)
        m.add(
            function,
            "near zero",
            {"x": ([s * 10.0**-k for k in range(1, 8) for s in (1, -1)] + [0.0, -0.0], (16,))},
            dtype,
        )
        m.add(function, "whole range", {"x": ([edge * (i / 20 - 1) for i in range(41)], (41,))}, dtype)
        m.add(function, "random", {"x": (m.normal(40, 3.0), (5, 8))}, dtype)
        m.add(function, "wide", {"x": (m.normal(40, edge / 3), (40,))}, dtype)
        m.add(function, "twenty", {"x": ([19.9, 20.0, 20.1, 20.5, 21.0, -20.5, 40.0, -40.0], (8,))}, dtype)
        m.add(function, "extremes", {"x": ([LARGEST[dtype], -LARGEST[dtype], TINY[dtype], -TINY[dtype]], (4,))}, dtype)
        m.add(function, "special", {"x": ([INF, -INF, NAN, 0.0], (2, 2))}, dtype)
        m.add(function, "no elements", {"x": ([], (0, 3))}, dtype)
    m.add("sigmoid", "integers", {"x": ([-100, 0, 100], (3,), "int8")}, "int8")
    m.add("sigmoid", "booleans", {"x": ([False, True], (2,), "bool")}, "bool")
    m.add("softplus", "integers", {"x": ([-20, 0, 100], (3,), "int8")}, "int8")


def softmax_inputs(m, dtype):
    """name, values, shape, axis, mask: what the softmax family is tried on."""
    rows = []
    for axis in (0, 1, 2, (1, 2), (0, 2), None):
        rows.append((f"slides over {axis}", SLIDES["segmentation"], (4, 2, 2), axis, None))
    rows.append(("slides, softmax2d", SLIDES["segmentation"], (1, 4, 2, 2), 1, None))
    for scale in (0.1, 1.0, 20.0, 200.0):
        rows.append((f"spread {scale}", m.normal(18, scale), (2, 9), -1, None))
    offset = {"float16": 1e3, "bfloat16": 1e4}.get(dtype, 1e4)
    rows.append(("offset up", m.normal(18, 1.0, offset), (2, 9), -1, None))
    rows.append(("offset down", m.normal(18, 1.0, -offset), (9, 2), 0, None))
    for gap in (0.5, 5.0, 10.0, 20.0, 40.0, 80.0):
        rows.append((f"dominant by {gap}", [0.0, -gap, -gap - 1.0, -gap, 0.0, -gap - 2.0], (2, 3), -1, None))
    edge = float(-mp.log(TINY[dtype])) - 0.5
    rows.append(("dominant by all but half a unit of the range", [0.0, -edge], (2,), -1, None))
    rows.append(("one of two", [0.0, -40.0], (2,), -1, None))
    rows.append(("ties", [1.5, 1.5, -2.0, 1.5, 0.0, -3.0, -3.0, -3.0, -3.0, -3.0], (2, 5), -1, None))
    rows.append(("two at the top", [7.0, 7.0, -9.0], (3,), -1, None))
    rows.append(("nearly tied", [1.0, 1.0078125, 0.9921875, 1.0], (4,), -1, None))
    rows.append(("one element", [3.0, -7.0, 1e4], (3, 1), -1, None))
    rows.append(("largest and smallest", [LARGEST[dtype], -LARGEST[dtype], LARGEST[dtype], 0.0], (2, 2), -1, None))
    rows.append(("tiny", [TINY[dtype], -TINY[dtype], 0.0], (3,), -1, None))
    rows.append(("some -inf", [0.0, -INF, 1.0, -INF, -INF, 5.0], (2, 3), -1, None))
    rows.append(("all -inf", [-INF] * 3 + [0.0, 1.0, 2.0], (2, 3), -1, None))
    rows.append(("+inf", [0.0, INF, 1.0, INF, INF, -INF], (2, 3), -1, None))
    rows.append(("nan", [0.0, NAN, 1.0, NAN, INF, -INF, 1.0, 2.0, 3.0], (3, 3), -1, None))
    rows.append(("-inf and nan", [-INF, -INF, NAN], (3,), -1, None))
    mask = [True, False, True, True, False, True, True, True, False, False, False, False]
    rows.append(("mask", m.normal(12, 3.0), (3, 4), -1, mask))
    rows.append(("mask over all", m.normal(12, 3.0), (3, 4), None, mask))
    rows.append(
        ("nan behind the mask", [1.0, NAN, 2.0, 3.0, INF, 0.0, -INF, 1.0, NAN, INF, -INF, NAN], (3, 4), -1, mask)
    )
    rows.append(("nan beside the mask", [1.0, 5.0, NAN, 3.0] * 3, (3, 4), -1, mask))
    rows.append(("largest behind the mask", [0.0, 500.0, -40.0, -50.0], (4,), -1, [True, False, True, True]))
    rows.append(("all hidden", [0.0, 1.0, NAN, INF], (2, 2), -1, [False] * 4))
    rows.append(("-inf is all that shows", [-INF, 1.0, 2.0], (3,), -1, [True, False, False]))
    return rows


def make_softmax(m):
    for dtype in FLOATS:
        inputs = softmax_inputs(m, dtype)
        for function in ("softmax", "log_softmax", "logsumexp"):
            for name, values, shape, axis, mask in inputs:
                arrays = {"x": (values, shape)}
                if mask is not None:
                    arrays["where"] = (mask, shape, "bool")
                m.add(function, name, arrays, dtype, axis=axis)
            m.add(function, "no slices", {"x": ([], (0, 3))}, dtype, axis=-1)
            for name, tile, repeat, last in (
                ("17 equal", [0.25], 17, None),
                ("1000 of two kinds", [0.0, -0.3, -0.3, -0.3], 250, None),
                ("1001 of seven kinds", [0.0, -0.3, -1.7, 0.5, -0.9, 0.1, -2.5], 143, None),
                ("100000 equal", [0.0], 100_000, None),
                ("100000 with one far above", [-0.3, -0.7, -1.1, -0.2], 25_000, 30.0),
                ("100000 with one a little above", [-0.3, -0.7, -1.1, -0.2], 25_000, 9.0),
                ("99999 of three kinds", [0.7, -0.3, -3.1], 33_333, None),
            ):
                m.long(function, name, tile, repeat, dtype, last, axis=-1)
        m.add("logsumexp", "empty axis", {"x": ([], (2, 0))}, dtype, axis=-1)
        m.add("logsumexp", "kept axis", {"x": (m.normal(6), (2, 3))}, dtype, axis=0, keepdims=True)
        m.add("logsumexp", "default axis", {"x": (m.normal(6), (2, 3))}, dtype)
        m.add("softmax", "default axis", {"x": (m.normal(6), (2, 3))}, dtype)
        m.add("softmax", "no axes", {"x": ([3.0], ())}, dtype, axis=None)
        m.add("softmax", "empty axis", {"x": ([], (2, 0))}, dtype, axis=-1)
    for function in ("softmax", "log_softmax", "logsumexp"):
        m.add(function, "integers", {"x": ([-100, 100, 99], (3,), "int8")}, "int8", axis=-1)
        m.add(function, "booleans", {"x": ([True, False, True], (3,), "bool")}, "bool", axis=-1)


def make_losses(m):
    for dtype in FLOATS:
        n, k = 4, 5
        x = m.normal(n * k, 3.0)
        classes = [1, 4, 0, 2]
        t = (classes, (n,), "int")
        soft = (m.simplex(n, k), (n, k))
        weight = ([0.5, 1.0, 2.0, 3.0, 0.25], (k,))
        factor = ([1.0, 0.5, 2.0, 4.0], (n,))
        mask = ([True, True, False, True, True] + [False, True, True, True, True] + [True] * 10, (n, k), "bool")
        base = {"logits": (x, (n, k)), "targets": t}
        probabilities = {"logits": (x, (n, k)), "targets": soft}
        add = functools.partial(m.add_of, "cross_entropy", dtype)
        for how in ("none", "sum", "mean"):
            add(f"plain, {how}", base, reduction=how)
            add(f"probabilities, {how}", probabilities, reduction=how)
            add(f"weights, {how}", {**base, "weight": weight, "sample_weight": factor}, reduction=how)
            add(
                f"weights and probabilities, {how}",
                {**probabilities, "weight": weight, "sample_weight": factor},
                reduction=how,
            )
            add(
                f"everything, {how}",
                {**base, "weight": weight, "sample_weight": factor, "where": mask},
                reduction=how,
                label_smoothing=0.1,
                z_loss=0.01,
                ignore_index=0,
            )
            add(f"smoothing and weights, {how}", {**base, "weight": weight}, reduction=how, label_smoothing=0.2)
            add(
                f"smoothing, weights and probabilities, {how}",
                {**probabilities, "weight": weight},
                reduction=how,
                label_smoothing=0.2,
                z_loss=0.5,
            )
        add("smoothing", base, reduction="none", label_smoothing=0.1)
        add("z-loss", base, reduction="none", z_loss=0.25)
        add("mask", {**base, "where": mask}, reduction="none")
        add("mask and smoothing", {**base, "where": mask}, reduction="none", label_smoothing=0.3)
        one_hot = [float(c == j) for c in classes for j in range(k)]
        add("one-hot", {"logits": (x, (n, k)), "targets": (one_hot, (n, k))}, reduction="none", label_smoothing=0.1)
        for gap in (1.0, 5.0, 10.0, 20.0, 40.0, 80.0):
            rows = [0.0, -gap, -gap - 1.0, -gap, 0.0, -gap - 2.0]
            add(f"confident by {gap}", {"logits": (rows, (2, 3)), "targets": ([0, 1], (2,), "int")}, reduction="none")
            add(f"wrong by {gap}", {"logits": (rows, (2, 3)), "targets": ([1, 0], (2,), "int")}, reduction="none")
            sure = ([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], (2, 3))
            add(f"confident by {gap}, one-hot", {"logits": (rows, (2, 3)), "targets": sure}, reduction="none")
        edge = float(-mp.log(TINY[dtype])) - 0.5
        add(
            "confident by all but half a unit of the range",
            {"logits": ([0.0, -edge], (1, 2)), "targets": ([0], (1,), "int")},
            reduction="none",
        )
        if dtype in ("float32", "float64"):
            add(
                "logits near 1e6",
                {"logits": ([1e6, 1e6 + 1.0], (1, 2)), "targets": ([0], (1,), "int")},
                reduction="none",
            )
        add(
            "channel axis",
            {"logits": (SLIDES["segmentation"], (1, 4, 2, 2)), "targets": ([1, 3, 2, 3], (1, 2, 2), "int")},
            axis=1,
            reduction="none",
        )
        add(
            "channel axis, mean",
            {"logits": (SLIDES["segmentation"], (4, 2, 2)), "targets": ([1, 3, 2, 255], (2, 2), "int")},
            axis=0,
            ignore_index=255,
        )
        add("one class", {"logits": ([3.0, -1e3], (2, 1)), "targets": ([0, 0], (2,), "int")}, reduction="none")
        nasty = [NAN, 0.0, INF, -INF, -INF, -INF, 1.0, 2.0, 3.0]
        three = {"logits": (nasty, (3, 3)), "targets": ([7, -100, 1], (3,), "int")}
        add(
            "ignored rows of nan and -inf",
            {"logits": (nasty, (3, 3)), "targets": ([-100, -100, 1], (3,), "int")},
            ignore_index=-100,
        )
        add(
            "rows of weight 0", {**three, "targets": ([0, 1, 1], (3,), "int"), "sample_weight": ([0.0, 0.0, 1.0], (3,))}
        )
        add(
            "class of weight 0",
            {"logits": (nasty, (3, 3)), "targets": ([0, 0, 1], (3,), "int"), "weight": ([0.0, 2.0, 1.0], (3,))},
            label_smoothing=0.1,
        )
        add("unlabelled rows", {"logits": (nasty, (3, 3)), "targets": ([0.0] * 6 + [0.25, 0.5, 0.25], (3, 3))})
        add("all ignored", {"logits": (nasty, (3, 3)), "targets": ([9, 9, 9], (3,), "int")}, ignore_index=9)
        add(
            "all of weight 0",
            {"logits": (nasty, (3, 3)), "targets": ([0, 1, 2], (3,), "int"), "sample_weight": ([0.0] * 3, (3,))},
        )
        add("no samples", {"logits": ([], (0, 3)), "targets": ([], (0,), "int")})
        special = [0.0, NAN, 1.0] + [0.0, INF, 1.0] + [-INF] * 3 + [0.0, -INF, 1.0] * 2
        add("special rows", {"logits": (special, (5, 3)), "targets": ([0, 1, 2, 0, 1], (5,), "int")}, reduction="none")
        add(
            "probability 0 at -inf",
            {"logits": ([0.0, -INF, 1.0] * 2, (2, 3)), "targets": ([0.5, 0.0, 0.5, 0.5, 0.25, 0.25], (2, 3))},
            reduction="none",
        )
        hidden = ([True, False, True, False, False, False, True, True, False], (3, 3), "bool")
        behind = [0.0, NAN, 1.0, NAN, INF, 0.0, 1.0, 2.0, NAN]
        add(
            "mask: hidden target, nothing left, nan behind",
            {"logits": (behind, (3, 3)), "targets": ([1, 0, 0], (3,), "int"), "where": hidden},
            reduction="none",
        )
        add(
            "mask and probabilities",
            {
                "logits": (behind, (3, 3)),
                "where": hidden,
                "targets": ([0.5, 0.0, 0.5, 0.0, 0.0, 1.0, 0.75, 0.25, 0.0], (3, 3)),
            },
            reduction="none",
            label_smoothing=0.1,
        )
        for name, tile, repeat, last, target in (
            ("100000 equal", [0.0], 100_000, None, 5),
            ("100000, the target far above", [-0.3, -0.7, -1.1, -0.2], 25_000, 30.0, 99_999),
            ("100000, the target among them", [-0.3, -0.7, -1.1, -0.2], 25_000, 30.0, 1),
            ("1000 of two kinds", [0.0, -0.3, -0.3, -0.3], 250, None, 1),
        ):
            m.long("cross_entropy", name, tile, repeat, dtype, last, target=target, reduction="none")
    m.add(
        "cross_entropy",
        "integer logits",
        {"logits": ([-100, 100, 99], (1, 3), "int8"), "targets": ([2], (1,), "int")},
        "int8",
        reduction="none",
    )


def make_nll(m):
    for dtype in FLOATS:
        logs = [float(mp.log(v)) for v in m.simplex(4, 3)]
        base = {"log_probs": (logs, (4, 3)), "targets": ([0, 2, 1, 2], (4,), "int")}
        weighted = {**base, "weight": ([0.5, 2.0, 3.0], (3,)), "sample_weight": ([1.0, 0.5, 0.0, 2.0], (4,))}
        for how in ("none", "sum", "mean"):
            m.add("nll_loss", f"plain, {how}", base, dtype, reduction=how)
            m.add("nll_loss", f"weights, {how}", weighted, dtype, reduction=how)
            m.add("nll_loss", f"weights and ignored, {how}", weighted, dtype, reduction=how, ignore_index=2)
        m.add(
            "nll_loss",
            "-inf and nan",
            {"log_probs": ([-INF, 0.0, NAN, -1.0, NAN, NAN], (3, 2)), "targets": ([0, 1, -1], (3,), "int")},
            dtype,
            reduction="none",
            ignore_index=-1,
        )
        m.add("nll_loss", "all ignored", {**base, "targets": ([-1] * 4, (4,), "int")}, dtype, ignore_index=-1)
        m.add("nll_loss", "first axis", {**base, "log_probs": (logs, (3, 4))}, dtype, reduction="none", axis=0)


def make_binary(m):
    function = "binary_cross_entropy_with_logits"
    for dtype in FLOATS:
        edge = float(-mp.log(TINY[dtype]))
        x, soft = m.normal(12, 4.0), [m.random.random() for _ in range(12)]
        hard = [float(m.random.random() < 0.5) for _ in range(12)]
        pos, factor = ([0.5, 1.0, 4.0], (3,)), ([0.0, 1.0, 2.0, 0.5] * 3, (4, 3))
        for how in ("none", "sum", "mean"):
            for name, t in (("labels", hard), ("soft labels", soft)):
                base = {"logits": (x, (4, 3)), "targets": (t, (4, 3))}
                m.add(function, f"{name}, {how}", base, dtype, reduction=how)
                m.add(
                    function,
                    f"{name} and weights, {how}",
                    {**base, "pos_weight": pos, "sample_weight": factor},
                    dtype,
                    reduction=how,
                )
        grid = [edge * (i / 10 - 1) for i in range(21)]
        for label in (0.0, 1.0):
            m.add(
                function,
                f"whole range, label {label:g}",
                {"logits": (grid, (21,)), "targets": ([label] * 21, (21,))},
                dtype,
                reduction="none",
            )
        wafer = [float(v > 0) for v in SLIDES["wafer"]]
        m.add(
            function,
            "slides",
            {"logits": (SLIDES["wafer"], (4, 2, 2)), "targets": (wafer, (4, 2, 2))},
            dtype,
            reduction="none",
        )
        m.add(
            function,
            "infinite",
            {"logits": ([INF, -INF, INF, -INF, INF, NAN], (6,)), "targets": ([1.0, 0.0, 0.0, 1.0, 0.5, 1.0], (6,))},
            dtype,
            reduction="none",
        )
        m.add(
            function,
            "pos_weight 0",
            {"logits": ([-INF, 3.0], (2,)), "targets": ([1.0, 1.0], (2,)), "pos_weight": ([0.0], (1,))},
            dtype,
            reduction="none",
        )
        m.add(
            function,
            "nan of weight 0",
            {"logits": ([NAN, 1.0], (2,)), "targets": ([1.0, 1.0], (2,)), "sample_weight": ([0.0, 1.0], (2,))},
            dtype,
        )
        m.add(
            function,
            "all of weight 0",
            {"logits": ([NAN, INF], (2,)), "targets": ([1.0, 0.0], (2,)), "sample_weight": ([0.0, 0.0], (2,))},
            dtype,
        )


def text(function, cases):
    head = {
        "generator": "tests/make_golden.py",
        "version": VERSION,
        "mpmath": mpmath.__version__,
        "digits": DIGITS,
        "seed": SEED,
        "function": function,
    }
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    return json.dumps(head)[:-1] + ',\n"cases": [\n' + lines + "\n]}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    m = Maker()
    for make in (make_elementwise, make_softmax, make_losses, make_nll, make_binary):
        make(m)
    differs = []
    for function, cases in m.cases.items():
        path, new = FOLDER / f"{function}.json", text(function, cases)
        names = [(c["name"], c["dtype"], "cotangent" in c) for c in cases]
        assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
        if check:
            if not path.exists() or path.read_text() != new:
                differs.append(path.name)
        else:
            path.write_text(new)
    total = sum(len(cases) for cases in m.cases.values())
    print(f"{total} cases of {len(m.cases)} functions, {DIGITS} digits: {'compared' if check else 'written'}")
    if differs:
        sys.exit(f"golden values differ from what the generator makes: {', '.join(differs)}")


if __name__ == "__main__":
    main()
