"""The facades under the transformations of PyTorch and JAX: second derivatives, whole compiled graphs."""

from __future__ import annotations

import numpy as np
import pytest

from axisoft.compat import jax as J
from axisoft.compat import optax, scipy
from axisoft.compat import torch as F

RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 3))
SOFT = RNG.dirichlet(np.ones(3), size=4)


def calls(target):
    t, b = target.array([0, 2, -100, 1], "int"), target.array([1.0, -0.3, 0.5], "float64")
    w, soft = target.array([0.5, 0.0, 2.0], "float64"), target.array(SOFT, "float64")
    where = target.array(X > -0.5, "bool")
    return [
        lambda x: F.cross_entropy(x, t, w, label_smoothing=0.1),
        lambda x: F.cross_entropy(x, soft, w, label_smoothing=0.1),
        lambda x: F.nll_loss(x, t, reduction="none"),
        lambda x: F.binary_cross_entropy_with_logits(x, soft, w),
        lambda x: F.softplus(x, 2.5),
        lambda x: F.softmin(x, 1),
        lambda x: scipy.logsumexp(x, axis=1, b=b, return_sign=True)[0],
        lambda x: J.logsumexp(x, b=b, return_sign=True, where=where)[0],
        lambda x: optax.softmax_cross_entropy(x, soft, where=where),
        lambda x: optax.softmax_cross_entropy_with_integer_labels(x, t * 0 + 1, axis=-1),
        lambda x: optax.sigmoid_binary_cross_entropy(x, soft),
    ]


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
# PyTorch's tracer instantiates the Functions that it says should not be; and warns of array_api_compat's caches.
@pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not be:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a:UserWarning")
@pytest.mark.parametrize("which", range(11))
def test_torch(target, which):
    import torch

    fun, x = calls(target)[which], target.array(X, "float64").requires_grad_()
    assert torch.autograd.gradcheck(fun, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(fun, (x,))
    torch.compiler.reset()
    compiled = torch.compile(fun, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x), fun(x), rtol=1e-12)
    (one,), (other,) = (torch.autograd.grad(f(x).sum(), x) for f in (compiled, fun))
    assert torch.allclose(one, other, rtol=1e-10)


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
@pytest.mark.parametrize("which", range(11))
def test_jax(target, which):
    import jax
    from jax.test_util import check_grads

    fun, x = calls(target)[which], target.array(X, "float64")
    check_grads(fun, (x,), order=2, modes=("fwd", "rev"), atol=1e-5, rtol=1e-5)
    assert np.allclose(target.numpy(jax.jit(fun)(x)), target.numpy(fun(x)), rtol=1e-12)
