"""One call of each function, in NumPy, PyTorch and JAX: the pages of the API show them, the suite runs them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

LOGITS = ("logits", [[2.0, 0.5, -1.0], [0.0, 3.0, 0.5]])
LABELS = ("labels", [0, 1])
SCORE = ("x", [[-2.0, 0.0, 30.0]])
PIXELS = ("logits", [[[[2.0, -1.0]], [[0.5, 3.0]], [[-1.0, 0.0]]]])
IMAGES = ("images", [[[[2.0, -1.0]], [[0.5, 3.0]], [[-1.0, 0.0]]]])

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

LIBRARIES = {
    "numpy": ("NumPy", "import numpy as np", "np.asarray({value}, dtype=np.float32)", "np.asarray({value})"),
    "torch": ("PyTorch", "import torch", "torch.tensor({value})", "torch.tensor({value})"),
    "jax": ("JAX", "import jax\nimport jax.numpy as jnp", "jnp.asarray({value})", "jnp.asarray({value})"),
}


def source(name: str, library: str) -> str:
    """The code of an example; it leaves ``y``, or ``loss`` and ``gradient``."""
    arrays, *rest = ALIKE[name] if name in ALIKE else CALLS[name]
    is_loss = name in CALLS and rest[1]
    _, imports, floats, integers = LIBRARIES[library]
    first = arrays[0][0]
    lines = [imports, "", "import axisoft", ""]
    if name == "cross_entropy":
        lines.append("# logits (N, C, H, W), labels (N, H, W)")
    for array, value in arrays:
        kind = floats if "." in str(value) else integers
        made = kind.format(value=value)
        if library == "torch" and is_loss and array == first:
            made = made.removesuffix(")") + ", requires_grad=True)"
        lines.append(f"{array} = {made}")
    names = ", ".join(array for array, _ in arrays)
    if name in ALIKE:
        return "\n".join([*lines, *rest[0]])
    arguments = f"{names}, {rest[0]}" if rest[0] else names
    if not is_loss:
        lines += [f"y = axisoft.{name}({arguments})", "print(y)"]
    elif library == "numpy":
        lines += [f"loss, gradient = axisoft.value_and_grad(axisoft.{name})({arguments})", "print(loss)"]
        lines += ["print(gradient)"]
    elif library == "torch":
        lines += [f"loss = axisoft.{name}({arguments})", "loss.backward()", "gradient = ", "print(loss.item())"]
        lines[-2] += f"{first}.grad"
        lines += ["print(gradient)"]
    else:
        lines += [f"loss, gradient = jax.value_and_grad(axisoft.{name})({arguments})", "print(loss)"]
        lines += ["print(gradient)"]
    return "\n".join(lines)


def run(code: str) -> tuple[dict[str, object], str]:
    """What an example leaves, and what it prints."""
    names: dict[str, object] = {}
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "example", "exec"), names)
    return names, printed.getvalue()
