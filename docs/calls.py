"""One call of each function, in NumPy, PyTorch and JAX: the pages of the API show them, the suite runs them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

LOGITS = ("logits", [[2.0, 0.5, -1.0], [0.0, 3.0, 0.5]])
LABELS = ("labels", [0, 1])
SCORE = ("x", [[-2.0, 0.0, 30.0]])
PIXELS = ("logits", [[[[2.0, -1.0]], [[0.5, 3.0]], [[-1.0, 0.0]]]])
IMAGES = ("images", PIXELS[1])

# name: the arrays, the rest of the call, whether it is a loss: what comes out is a number, with a gradient beside it.
CALLS = {
    "softmax": ((LOGITS,), "axis=-1", False),
    "log_softmax": ((LOGITS,), "axis=-1", False),
    "logsumexp": ((LOGITS,), "axis=-1", False),
    "softmax2d": ((IMAGES,), "", False),
    "sigmoid": ((SCORE,), "", False),
    "log_sigmoid": ((SCORE,), "", False),
    "softplus": ((SCORE,), "", False),
    "cross_entropy": ((PIXELS, ("labels", [[[0, 1]]])), "axis=1", True),
    "linear_cross_entropy": (
        (("features", [[1.0, 0.0], [0.5, 2.0]]), ("matrix", [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]), LABELS),
        "",
        True,
    ),
    "nll_loss": ((("log_probs", [[-0.25, -2.0, -3.0], [-1.5, -0.5, -1.75]]), LABELS), "", True),
    "binary_cross_entropy_with_logits": ((LOGITS, ("there", [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])), "", True),
}

# What reads the same in every library: the arrays, and what is done with them.
ALIKE = {
    "vjp": (
        (LOGITS,),
        ("y, pullback = axisoft.vjp(axisoft.softmax, logits)", "(gradient,) = pullback(y)", "print(gradient)"),
    ),
    "value_and_grad": (
        (LOGITS, LABELS),
        (
            "loss, gradient = axisoft.value_and_grad(axisoft.cross_entropy)(logits, labels)",
            "print(loss)",
            "print(gradient)",
        ),
    ),
    "diagnose": ((LOGITS, LABELS), ("print(axisoft.diagnose(logits, labels, axis=0))",)),
}

# The title of its tab, what it imports, an array of floats and one of integers, and a loss with its gradient.
LIBRARIES = {
    "numpy": (
        "NumPy",
        "import numpy as np",
        "np.asarray({value}, dtype=np.float32)",
        "np.asarray({value})",
        "loss, gradient = axisoft.value_and_grad(axisoft.{name})({arguments})\nprint(loss)\nprint(gradient)",
    ),
    "torch": (
        "PyTorch",
        "import torch",
        "torch.tensor({value})",
        "torch.tensor({value})",
        "loss = axisoft.{name}({arguments})\nloss.backward()\ngradient = {first}.grad\n"
        "print(loss.item())\nprint(gradient)",
    ),
    "jax": (
        "JAX",
        "import jax\nimport jax.numpy as jnp",
        "jnp.asarray({value})",
        "jnp.asarray({value})",
        "loss, gradient = jax.value_and_grad(axisoft.{name})({arguments})\nprint(loss)\nprint(gradient)",
    ),
}


def source(name: str, library: str) -> str:
    """The code of an example; it leaves ``y``, or ``loss`` and ``gradient``."""
    _, imports, floats, integers, step = LIBRARIES[library]
    arrays, *rest = ALIKE[name] if name in ALIKE else CALLS[name]
    first = arrays[0][0]
    lines = [imports, "", "import axisoft", ""]
    if name == "cross_entropy":
        lines.append("# logits (N, C, H, W), labels (N, H, W)")
    for array, value in arrays:
        made = (floats if "." in str(value) else integers).format(value=value)
        if array == first and "backward" in step and name in CALLS and rest[1]:
            made = made.removesuffix(")") + ", requires_grad=True)"
        lines.append(f"{array} = {made}")
    if name in ALIKE:
        return "\n".join([*lines, *rest[0]])
    options, is_loss = rest
    arguments = ", ".join(filter(None, [*(array for array, _ in arrays), options]))
    call = step if is_loss else "y = axisoft.{name}({arguments})\nprint(y)"
    return "\n".join([*lines, call.format(name=name, arguments=arguments, first=first)])


def run(code: str) -> tuple[dict[str, object], str]:
    """What an example leaves, and what it prints."""
    names: dict[str, object] = {}
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "example", "exec"), names)
    return names, printed.getvalue()
