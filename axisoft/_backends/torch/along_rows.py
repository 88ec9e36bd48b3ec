"""What the kernels of ``rows`` are for: one axis, along memory, and nothing but logits and class indices."""

from __future__ import annotations

import torch

from axisoft import _core
from axisoft._backends.torch import rows
from axisoft._backends.torch.fallback import widened
from axisoft._backends.torch.limits import FEW, HALF, LARGE, MANY
from axisoft._backends.torch.namespace import host
from axisoft._core.weights import WEIGHTS, read_samples


def _fits_rows(x, axes):
    return axes == (x.ndim - 1,) and x.numel() > 0 and (x.numel() <= LARGE or x.shape[-1] >= MANY) and x.is_contiguous()


def fits(arrays, options):
    """A softmax of one axis that lies along memory, without a mask."""
    x, where = arrays
    return where is None and not options.get("zero_if_empty") and _fits_rows(x, options["axis"])


def fits_gradient(g, y, arrays, options):
    x, where = arrays
    return fits((x if y is None else y, where), options)


def by(kernel):
    def value(arrays, options):
        x = arrays[0]
        return kernel(x) if x.ndim == 2 else kernel(rows.flat(x)).view(x.shape)

    return value


def gradient_by(kernel, value):
    """``value`` : the kernel of the result, which is made again for half precision."""
    of_half = rows.of_half(kernel, value)

    def gradient(g, y, arrays, options):
        x = arrays[0] if y is None else y
        run = of_half if y is None else kernel
        return run(g, x) if x.ndim == 2 else run(rows.flat(g), rows.flat(x)).view(x.shape)

    return gradient


def logsumexp(arrays, options):
    x = arrays[0]
    y = rows.logsumexp(rows.flat(x))
    return y.view(*x.shape[:-1], 1) if options.get("keepdims") else y.view(x.shape[:-1])


def logsumexp_gradient(g, y, arrays, options):
    x = arrays[0]
    return rows.logsumexp_gradient(g.reshape(-1, 1), rows.flat(x)).view(x.shape)


def fits_loss(arrays, options):
    x, targets, _, _, where = arrays
    if where is not None or options["label_smoothing"] or options["z_loss"] or targets.is_floating_point():
        return False
    return _fits_rows(x, (options["axis"],))


def fits_plain_loss(arrays, options):
    """As above, and nothing but class indices that are known to exist is beside the logits."""
    _, targets, weight, sample_weight, _ = arrays
    return (
        weight is sample_weight is options["ignore_index"]
        and options.get("checked", False)
        and targets.dtype is torch.int64
        and fits_loss(arrays, options)
    )


def plain_loss(arrays, options, shared=None):
    x, targets, *_ = arrays
    if x.ndim == 2:
        return rows.surprisal(x, targets, shared)
    return rows.surprisal(rows.flat(x), targets.reshape(-1)).view(targets.shape)


def fits_step(arrays, options):
    return arrays[0].dtype not in HALF and arrays[0].ndim == 2 and fits_plain_loss(arrays, options)


def step(g, arrays):
    x, targets, *others = arrays
    y, gradient = rows.loss_and_gradient(x, targets, g)
    return y, [gradient, *[None] * (1 + len(others))]


def fits_few(arrays, options):
    return arrays[0].numel() <= FEW and fits(arrays, options)


def loss(arrays, options):
    x, targets, *others = arrays
    return _core.OPS["cross_entropy"].formula(
        x, targets, *widened(others), xp=host, **options
    )  # asks for the surprisal


def plain_loss_gradient(g, y, arrays, options):
    x, targets, *_ = arrays
    if x.ndim == 2:
        return rows.logit_gradient(x, targets, g)
    return rows.logit_gradient(rows.flat(x), targets.reshape(-1), g.reshape(-1)).view(x.shape)


def loss_gradient(g, y, arrays, options):
    """A cotangent is one more weight of the sample; a dropped sample has none, whatever its row holds."""
    x, targets, *others = arrays
    weight, sample_weight, _ = widened(others)
    read = {name: options.get(name, False) for name in ("axis", "ignore_index", "checked")}
    known = read_samples(x, targets, weight, sample_weight, xp=host, **read)
    one = torch.empty((), dtype=g.dtype).expand(x.shape)  # for its dtype
    factor = WEIGHTS.formula(one, targets, weight, sample_weight, xp=host, **read)
    factor = factor * torch.where(factor == 0, 0.0, g)
    y = rows.logit_gradient(rows.flat(x), known.index.reshape(-1), factor.reshape(-1))
    if known.kept is not None:
        dropped = torch.nonzero(~known.kept.reshape(-1)).squeeze(1)
        if len(dropped):
            y[dropped] = factor.reshape(-1, 1)[dropped].to(y.dtype)  # 0, or NaN for what is no class
    return y.view(x.shape)
