"""What each process does in test_torch_dtensor: tensors in every layout, beside plain ones in float64."""

from __future__ import annotations

import functools
import math
from collections import Counter

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import loss_parallel

import axisoft as ax

SHAPES = ((32, 1000), (32, 1001), (6, 5))
LAYOUTS = {
    2: [((2,), (Replicate(),)), ((2,), (Shard(0),)), ((2,), (Shard(1),))],
    4: [
        ((4,), (Shard(1),)),
        ((2, 2), (Shard(0), Shard(1))),
        ((2, 2), (Shard(1), Shard(1))),
        ((2, 2), (Replicate(), Shard(1))),
        ((2, 2), (Shard(0), Shard(0))),
    ],
}


def cases(n, classes):
    """Name to the logits, the function, its second array if it has one, and its options."""
    x, t, w = torch.randn(n, classes) * 3, torch.randint(0, classes, (n,)), torch.rand(classes) + 0.5
    t[::5] = 3
    x[::4, 2] += 40
    mask = torch.rand(n, classes) < 0.8
    mask[torch.arange(n), t] = True
    f, q = torch.rand(n), torch.softmax(torch.randn(n, classes), -1)
    dropped = f.clone()
    dropped[1] = 0
    spoilt = x.clone()
    spoilt[1] = math.nan
    losses = {
        "cross_entropy": (t, {}),
        "smoothed": (t, {"label_smoothing": 0.1, "z_loss": 1e-3}),
        "weight": (t, {"weight": w}),
        "ignored": (t, {"ignore_index": 3}),
        "where": (t, {"where": mask}),
        "sample_weight": (t, {"sample_weight": f, "reduction": "sum"}),
        "probabilities": (q, {"reduction": "none"}),
        "each": (t, {"reduction": "none"}),
        "all": (t, {"label_smoothing": 0.1, "z_loss": 1e-3, "weight": w, "sample_weight": f, "where": mask}),
    }
    return {
        "softmax": (x, ax.softmax, None, {}),
        "log_softmax": (x, ax.log_softmax, None, {}),
        "logsumexp": (x, ax.logsumexp, None, {"axis": -1}),
        "logsumexp, axes kept": (x, ax.logsumexp, None, {"axis": 1, "keepdims": True}),
        "logsumexp of all": (x, ax.logsumexp, None, {}),
        "softmax over both axes": (x, ax.softmax, None, {"axis": (0, 1)}),
        "softmax over the batch": (x, ax.softmax, None, {"axis": 0}),
        "sigmoid": (x, ax.sigmoid, None, {}),
        "log_sigmoid": (x, ax.log_sigmoid, None, {}),
        "softplus": (x, ax.softplus, None, {}),
        "binary": (x, ax.binary_cross_entropy_with_logits, q, {}),
        "binary, weights": (
            x, ax.binary_cross_entropy_with_logits, q, {"pos_weight": w, "sample_weight": f[:, None]},
        ),
        "nll_loss": (x, ax.nll_loss, t, {}),
        "NaN in a dropped row": (spoilt, ax.cross_entropy, t, {"sample_weight": dropped}),
    } | {name: (x, ax.cross_entropy, second, options) for name, (second, options) in losses.items()}  # fmt: skip


def is_floating(a):
    return isinstance(a, torch.Tensor) and a.is_floating_point()


def double(a):
    return a.double() if is_floating(a) else a


def whole(a):
    """All of a tensor, gathered one axis of the mesh after the other, as PyTorch would warn that it does."""
    for i in range(a.device_mesh.ndim if isinstance(a, DTensor) else 0):
        a = a.redistribute(placements=[Replicate() if j <= i else p for j, p in enumerate(a.placements)])
    return a.to_local() if isinstance(a, DTensor) else a


def error(a, b):
    return ((whole(a) - b).abs().max() / b.abs().max()).item()


def laid_out(a, mesh, places, x):
    """As the logits are, where it has the same axis."""
    fits = [p if p.is_shard() and p.dim < a.ndim and a.shape[p.dim] == x.shape[p.dim] else Replicate() for p in places]
    return distribute_tensor(a, mesh, fits)


def differ(given, mesh, places, plain):
    """What of value, gradients and placements is not as it should be. ``plain`` : what goes beside the logits."""
    x, fun, second, options = given
    weights = {name: a for name, a in options.items() if is_floating(a)}

    def on_one(cast):
        one_x, one_w = (
            cast(x).clone().requires_grad_(),
            {k: cast(a).clone().requires_grad_() for k, a in weights.items()},
        )
        y = fun(one_x, *[] if second is None else [cast(second)], **{**options, **one_w})
        y.backward(cast(g := torch.sin(torch.arange(y.numel()) + 1.0).reshape(y.shape)))
        return g, {"value": y.detach(), "gradient": one_x.grad, **{name: a.grad for name, a in one_w.items()}}

    (_, want), (g, plain_ones) = on_one(double), on_one(lambda a: a)

    put = lambda a: a if plain or not isinstance(a, torch.Tensor) else laid_out(a, mesh, places, x)
    found_x = distribute_tensor(x, mesh, places).requires_grad_()
    found_w = {name: put(a.clone()).requires_grad_() for name, a in weights.items()}
    second = [] if second is None else [put(second)]
    y = fun(found_x, *second, **{name: put(a) for name, a in options.items()} | found_w)
    y.backward(distribute_tensor(g, mesh, y.placements))
    found = {"value": y.detach(), "gradient": found_x.grad, **{name: a.grad for name, a in found_w.items()}}

    # As exact as plain tensors are, but for a few more roundings.
    wrong = {
        name: not error(found[name], want[name]) <= 2 * error(plain_ones[name], want[name]) + 1e-6 for name in want
    }
    wrong |= {
        "placement": found_x.grad.placements != found_x.placements,
        "sharded": y.shape == x.shape and y.placements != found_x.placements,
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]


def layouts(rank, world):
    torch.manual_seed(14)
    found = []
    for shape, places in LAYOUTS[world]:
        mesh = init_device_mesh("cpu", shape)
        for size in SHAPES:
            for name, given in cases(*size).items():
                for plain in (True, False):
                    wrong = differ(given, mesh, places, plain)
                    found.append((f"{name} {size} on {shape} {places}, {'plain' if plain else 'DTensor'}", wrong))
    return found


def messages(rank, world):
    """Of each case, classes shared out: how many go forward and backward; the largest and all, in numbers a sample."""
    torch.manual_seed(14)
    mesh, n = init_device_mesh("cpu", (world,)), 64
    sizes, real, found = [], torch.distributed.all_reduce, {}

    def all_reduce(a, *args, **kwargs):
        sizes.append(a.numel() / n)
        return real(a, *args, **kwargs)

    torch.distributed.all_reduce = all_reduce
    for name, (x, fun, second, options) in cases(n, 4096).items():
        x = distribute_tensor(x, mesh, [Shard(1)]).requires_grad_()
        sizes.clear()
        with CommDebugMode() as forward:
            y = fun(x, *[] if second is None else [second], **options)
        g = distribute_tensor(torch.ones(y.shape), mesh, y.placements)
        with CommDebugMode() as backward:
            y.backward(g)
        counts = (mode.get_comm_counts() for mode in (forward, backward))
        kinds = [Counter({str(kind).split(".")[-1]: n for kind, n in count.items()}) for count in counts]
        found[name] = *kinds, max(sizes, default=0), sum(sizes)
    torch.distributed.all_reduce = real
    return found


def said(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def edges(rank, world):
    """Special values, and the sentences of errors."""
    torch.manual_seed(14)
    nan, inf = math.nan, math.inf
    mesh = init_device_mesh("cpu", (world,))
    group = mesh.get_group()
    found = {}
    odd = torch.tensor(
        [
            [nan, 0, 0, inf],
            [inf, 0, 0, 1],
            [-inf] * 4,
            [0, -inf, -inf, -inf],
            [1, 0, nan, 0],
            [0.0] * 4,
            [-inf, 0, 0, inf],
        ]
    )
    classes = torch.tensor([0, 1, 0, 0, 0, 3, 2, 1])
    x, t = torch.randn(8, 6), torch.randint(0, 6, (8,))
    shared, halves = distribute_tensor(x, mesh, [Shard(1)]), x.chunk(world, 1)
    functions = {
        "softmax": lambda x, **k: ax.softmax(x, **k),
        "log_softmax": lambda x, **k: ax.log_softmax(x, **k),
        "logsumexp": lambda x, **k: ax.logsumexp(x, axis=1, **k),
        "cross_entropy": lambda x, **k: ax.cross_entropy(x, classes[: len(x)], reduction="none", **k),
    }
    for name, fun in functions.items():
        found["special values", name] = torch.equal(
            torch.nan_to_num(whole(fun(distribute_tensor(odd, mesh, [Shard(1)]))), 7.0), torch.nan_to_num(fun(odd), 7.0)
        )
        here = halves[rank].clone().requires_grad_()
        y = fun(here, across=group)
        y.backward(torch.ones_like(y))
        all_of_it = x.clone().requires_grad_()
        want = fun(all_of_it)
        want.backward(torch.ones_like(want))
        want = want.chunk(world, 1)[rank] if want.shape == x.shape else want
        close = [
            torch.allclose(y, want, atol=1e-6),
            torch.allclose(here.grad, all_of_it.grad.chunk(world, 1)[rank], atol=1e-6),
        ]
        found["a group", name] = all(close)
    half = distribute_tensor(x.bfloat16(), mesh, [Shard(1)])
    found["half precision"] = (
        (ax.cross_entropy(half, t).full_tensor() - ax.cross_entropy(x.bfloat16(), t)).abs().item() < 1e-6,
        torch.equal(whole(ax.softmax(half)), ax.softmax(x.bfloat16())),
    )
    found["what is not summed yet"] = torch.allclose(
        whole(ax.softmax(DTensor.from_local(x, mesh, [Partial()], run_check=False))), ax.softmax(world * x)
    )
    found["DTensor targets"] = ax.cross_entropy(x, distribute_tensor(t, mesh, [Shard(0)])).placements
    bad = distribute_tensor(t + 3, mesh, [Replicate()])
    found["unread classes"] = (
        whole(ax.cross_entropy(shared, bad, reduction="none")).isnan().tolist(),
        (t + 3 > 5).tolist(),
    )
    value, gradient = ax.value_and_grad(ax.cross_entropy)(shared, t)
    plain = ax.value_and_grad(ax.cross_entropy)(x, t)
    found["value_and_grad"] = (
        torch.allclose(whole(value), plain[0]),
        torch.allclose(whole(gradient), plain[1], atol=1e-7),
    )
    (pulled,) = ax.vjp(ax.softmax, shared)[1](x)
    found["vjp"] = torch.allclose(whole(pulled), ax.vjp(ax.softmax, x)[1](x)[0], atol=1e-6)
    with loss_parallel():
        varying = distribute_tensor(x, mesh, [Shard(1)]).requires_grad_()
        ax.cross_entropy(varying, t).backward()
        found["loss_parallel"] = torch.allclose(whole(varying.grad), plain[1], atol=1e-7)

    def twice(places):
        a = distribute_tensor(x, mesh, places).requires_grad_()
        (g,) = torch.autograd.grad(ax.cross_entropy(a, t), a, create_graph=True)
        return whole(torch.autograd.grad((g * g).sum(), a)[0])

    a = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(ax.cross_entropy(a, t), a, create_graph=True)
    want = torch.autograd.grad((g * g).sum(), a)[0]
    found["second derivative"] = [torch.allclose(twice([p]), want, atol=1e-7) for p in (Replicate(), Shard(0))]
    found["second derivative of shared slices"] = said(lambda: twice([Shard(1)]))
    found["no group"] = said(lambda: ax.softmax(x, across="v"))
    found["no part"] = said(lambda: ax.softmax(x.numpy(), across=group))
    found["uneven parts"] = said(lambda: ax.softmax(x[:, : rank + 1], across=group))
    found["wrong class"] = said(lambda: ax.cross_entropy(shared, t * 0 + 6))
    found["wrong class in a group"] = said(lambda: ax.cross_entropy(halves[rank], t * 0 + 6, across=group))
    other = init_device_mesh("cpu", (1, world))
    message = said(lambda: ax.cross_entropy(shared, distribute_tensor(t, other, [Replicate()] * 2)))
    found["two meshes"] = message.replace(str(mesh), "one").replace(str(other), "other")
    found["diagnose"] = said(lambda: ax.diagnose(shared, t))
    return found


LAYERS = {
    2: [
        ((2,), (Replicate(),), (Replicate(),)),
        ((2,), (Shard(0),), (Replicate(),)),
        ((2,), (Replicate(),), (Shard(0),)),
        ((2,), (Shard(0),), (Shard(0),)),
    ],
    4: [
        ((2, 2), (Shard(0), Replicate()), (Replicate(), Shard(0))),
        ((2, 2), (Replicate(), Replicate()), (Shard(0), Shard(0))),
        ((2, 2), (Shard(0), Shard(0)), (Replicate(), Shard(0))),
    ],
}


def layer_cases(n, d, classes):
    """Name to targets and options; weights, and so their gradients, are the last cases'."""
    t, mask = torch.randint(0, classes, (n,)), torch.rand(n, classes) < 0.8
    mask[torch.arange(n), t] = True
    padded = torch.rand(classes) < 0.8
    padded[t] = True
    f = torch.rand(n)
    f[1] = 0
    some = t.clone()
    some[::3] = -1
    return {
        "plain": (t, {}),
        "bias": (t, {"bias": torch.randn(classes)}),
        "capped": (t, {"soft_cap": 3.0}),
        "ignored": (some, {"ignore_index": -1}),
        "smoothed": (t, {"label_smoothing": 0.1, "z_loss": 0.01}),
        "each": (t, {"reduction": "none"}),
        "sum": (t, {"reduction": "sum"}),
        "padded": (t, {"where": padded}),
        "mask": (t, {"where": mask}),
        "probabilities": (torch.softmax(torch.randn(n, classes), 1), {}),
        "weight": (t, {"weight": torch.rand(classes) + 0.5}),
        "sample_weight": (t, {"sample_weight": f}),
        "all": (some, {"bias": torch.randn(classes), "soft_cap": 3.0, "ignore_index": -1, "label_smoothing": 0.1,
                       "sample_weight": f, "weight": torch.rand(classes) + 0.5, "where": padded}),
    }  # fmt: skip


def layers(rank, world):
    """As ``layouts``, of a linear layer."""
    torch.manual_seed(15)
    found = []
    for shape, of_features, of_matrix in LAYERS[world]:
        mesh = init_device_mesh("cpu", shape)
        for n, d, classes in ((64, 8, 101), (6, 4, 3)):
            x, w = torch.randn(n, d), torch.randn(classes, d)
            for name, (t, options) in layer_cases(n, d, classes).items():
                for varying in (False, True) if any("weight" in key for key in options) else (False,):
                    put_x, put_w = (
                        functools.partial(distribute_tensor, device_mesh=mesh, placements=places)
                        for places in (of_features, of_matrix)
                    )
                    given = (x, w, t, options, varying)
                    got = layer(*given, put_x, put_w, torch.clone)
                    plain = layer(*given, torch.clone, torch.clone, torch.clone)
                    want = layer(*given, torch.clone, torch.clone, torch.Tensor.double)
                    rows = enumerate(zip(got, plain, want, strict=True))
                    wrong = [(i, error(a, c)) for i, (a, b, c) in rows if not error(a, c) < 2 * error(b, c) + 3e-6]
                    placed = got[1].placements == tuple(of_features)
                    found.append((f"{name} {n} on {shape} {of_features} {of_matrix}", wrong if placed else "placed"))
    return found


def layer(x, w, t, options, varying, put_x, put_w, cast):
    """The value, and the gradients of features, matrix and bias, and of weights if they vary."""
    options = {name: cast(a) if is_floating(a) else a for name, a in options.items()}
    bias = options.pop("bias", None)
    leaves = [put_x(cast(x)), put_w(cast(w)), *([] if bias is None else [put_w(bias)])]
    weights = [a for a in options.values() if is_floating(a)] if varying else []
    for leaf in (*leaves, *weights):
        leaf.requires_grad_()
    t = cast(t) if is_floating(t) else t
    y = ax.linear_cross_entropy(*leaves[:2], t, *leaves[2:], chunk=16, **options)
    g = torch.cos(torch.arange(y.numel()).to(x.dtype)).reshape(y.shape).to(y.dtype)
    y.backward(distribute_tensor(g, y.device_mesh, y.placements) if isinstance(y, DTensor) else g)
    return [y.detach(), *(leaf.grad for leaf in (*leaves, *weights))]


def layer_in_a_group(rank, world):
    torch.manual_seed(16)
    group = init_device_mesh("cpu", (world,)).get_group()
    x, w, t = torch.randn(64, 8), torch.randn(100, 8), torch.randint(0, 100, (64,))
    part = w.chunk(world)[rank]
    got = layer(x, part, t, {"across": group}, False, torch.clone, torch.clone, torch.clone)
    want = layer(x, w, t, {}, False, torch.clone, torch.clone, torch.Tensor.double)
    want[2] = want[2].chunk(world)[rank]
    return [error(a, b) for a, b in zip(got, want, strict=True)]
