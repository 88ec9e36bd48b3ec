"""A linear layer's cross-entropy: the gradient made with the value, in one ``autograd.Function``.

Whatever else may be asked of it (second derivatives, forward mode, torch.func, gradients of weights and probabilities)
comes as PyTorch records the tiles.
"""

from __future__ import annotations

import torch
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from axisoft._backends import linear
from axisoft._backends.torch import functions, ways
from axisoft._backends.torch.limits import HALF
from axisoft._backends.torch.namespace import host, memory, xp
from axisoft._backends.torch.watch import is_traced, requires_gradient
from axisoft._core.linear import losses
from axisoft._core.weights import of_each

# Classes whose gradient is summed at a time, where the product is made by itself first.
PART = 1 << 12
SPACES = {"host": host, "device": memory, "any": xp}


class How(linear.How):
    """``where`` : the place of the arrays, as the table of ways has it."""

    def __init__(self, where):
        super().__init__(SPACES[where])
        self.where, self.reads = where, where == "host"

    def run(self, op, arrays, options):
        return ways.run(op, arrays, options, self.where)

    def both(self, op, g, arrays, wanted, options):
        return ways.both(op, g, arrays, wanted, options, self.where)

    def entry(self, given, dtype):
        """Half precision is multiplied as it is."""
        return given if given in HALF else dtype

    def matmul(self, a, b):
        if a.dtype in HALF and a.is_cuda:
            return torch.mm(a, b, out_dtype=torch.float32)
        y = torch.mm(a, b)  # which autocast may give in half precision
        return y.float() if y.dtype in HALF else y

    def add_product(self, whole, a, b):
        if a.dtype not in HALF:
            return whole.addmm_(a.t(), b)
        for part, rows in zip(whole.split(PART), a.t().split(PART), strict=True):
            part += self.matmul(rows, b)
        return whole

    def nothing(self, shape, dtype, like):
        return torch.zeros(shape, dtype=dtype, device=like.device)


class Recorded(How):
    """As PyTorch records it. Logits are made again for their gradient, where PyTorch can be told so."""

    def __init__(self):
        super().__init__("any")

    def run(self, op, arrays, options):
        return functions.do(op, *arrays, **options)

    def enters(self, x):
        return x

    def losses(self, tile, kept, options):
        """A dropped sample takes part where it is finite: what its weight multiplies is that weight's gradient."""
        x, *others = tile
        if kept is not None:
            kept = kept | torch.isfinite(x).all(1, keepdim=True)
            tile = torch.where(kept, x, 0.0), *others
        y = self._losses(tile, options)
        return y if kept is None else torch.where(kept.squeeze(1), y, 0.0)

    def _losses(self, tile, options):
        if (
            forward_ad._current_level >= 0
            or _functorch.maybe_current_level() is not None
            or not requires_gradient(tile)
        ):
            return losses(tile, self, **options)
        return checkpoint(losses, tile, self, use_reentrant=False, preserve_rng_state=False, **options)


class _Layer(torch.autograd.Function):
    """Of a sum or a mean the gradient is there already; of losses by themselves, and asked for again, it is made."""

    @staticmethod
    def forward(ctx, call, *arrays):
        how_to, where, options = call
        layer = linear.Layer.of(how_to.fast(where), arrays, **options)
        wanted = ctx.needs_input_grad[1:5]
        how, kept = options["reduction"], None
        if how == "none":
            y = layer.losses()
        else:
            y, kept = layer.sweep(wanted)
        ctx.call, ctx.kept, ctx.losses = call, kept, (y, layer.weights if how == "mean" else None)
        ctx.save_for_backward(*arrays)
        return linear.reduced(layer, y, how)

    @staticmethod
    def backward(ctx, g):
        arrays, (how_to, where, options), wanted = ctx.saved_tensors, ctx.call, ctx.needs_input_grad[1:5]
        if torch.is_grad_enabled():  # it may be differentiated again
            # The derivative along each array, whatever one of them is made of.
            arrays = [a if a is None or not a.is_floating_point() else a.view_as(a) for a in arrays]
            y = recorded(arrays, how_to, options)
            given = [a for a, want in zip(arrays, wanted, strict=False) if want]
            again = iter(torch.autograd.grad(y, given, g, create_graph=True))
            return None, *[next(again) if want else None for want in wanted], None, None, None
        kept, ctx.kept = ctx.kept, None  # they are the caller's then
        summed = options["reduction"] != "none"
        if kept is None:
            layer = linear.Layer.of(how_to.fast(where), arrays, **options)
            kept = layer.sweep(wanted, None if summed else g.reshape(-1))[1]
        if summed:
            y, weights = ctx.losses
            share = of_each(g, y, weights, options["reduction"] == "mean", memory)
            kept = [a if a is None else a.mul_(share) for a in kept]
        found = [None if a is None else a.to(like.dtype) for a, like in zip(kept, arrays, strict=False)]
        return None, *found, None, None, None


class Ways:
    """How the layer runs: with the gradient made in the value's pass, and as PyTorch records it."""

    fast, recorded = How, Recorded


WAYS = Ways()


def recorded(arrays, ways, options):
    how = ways.recorded()
    layer = linear.Layer.of(how, (how.enters(arrays[0]), *arrays[1:]), **options)
    return linear.reduced(layer, layer.losses(), options["reduction"])


def weights(arrays, how_to, **options):
    """What each sample weighs in a mean; None for one each."""
    return linear.Layer.of(how_to.recorded(), arrays, reduction="none", **options).weights


def run(arrays, how_to, **options):
    where = ways.place(arrays)
    special = is_traced() or forward_ad._current_level >= 0 or _functorch.maybe_current_level() is not None
    varies = torch.is_grad_enabled() and requires_gradient(arrays)
    if where == "any" or special or (varies and requires_gradient((arrays[2], *arrays[4:6]))):
        return recorded(arrays, how_to, options)
    if varies:
        return _Layer.apply((how_to, where, options), *arrays)
    return linear.evaluate(how_to.fast(where), arrays, **options)


def vjp(fun, *primals):
    """As ``torch.func.vjp``, but for what is to be differentiated again: the gradient made with the value."""
    with torch.enable_grad():
        varying = [a.detach().requires_grad_() for a in primals]
        out = fun(*varying)
    return out.detach(), lambda g: torch.autograd.grad(out, varying, g, retain_graph=True)
