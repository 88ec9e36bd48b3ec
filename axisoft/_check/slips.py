"""Slips in a call: names that other libraries have, and what is given by position, by name or not at all."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar

from axisoft._check.options import REDUCTIONS
from axisoft._check.text import listed, nearest

F = TypeVar("F", bound=Callable[..., Any])

# What goes by position here, and its names elsewhere.
_ARRAYS = {
    "x": "a array data input inputs logit logits output outputs scores tensor values z",
    "logits": "a input inputs logit output outputs pred prediction predictions preds scores x y_pred",
    "log_probs": "input inputs log_prob log_probabilities logits logp logprobs output outputs pred preds x",
    "features": "a embeddings h hidden hidden_states input inputs x",
    "matrix": "classifier kernel lm_head w weight",
    "bias": "b",
    "targets": "classes ground_truth indices label labels target y y_true",
    "fun": "f fn func function",
    "n": "count n_jobs n_threads nthreads num_threads number threads workers",
}

# The options, and their names elsewhere.
_OPTIONS = {
    "axis": "axes channel_axis class_axis class_dim dim dimension dims",
    "keepdims": "keep_dim keep_dims keepdim",
    "where": "attention_mask attn_mask mask valid_mask",
    "dtype": "data_type out_dtype",
    "weight": "class_weight class_weights weights",
    "sample_weight": "sample_weights weight weights",
    "pos_weight": "pos_weights positive_weight",
    "ignore_index": "ignore_class ignore_idx ignore_label ignored_index ignored_label mask_index void_label",
    "label_smoothing": "label_smooth smooth smooth_factor smoothing",
    "z_loss": "z_loss_weight z_weight zloss",
    "reduction": "average reduce reduction_mode size_average",
    "soft_cap": "cap final_logit_softcap final_logit_softcapping logit_softcapping logits_soft_cap softcap",
    "chunk": "batch_chunk_size chunk_size n_chunks num_chunks rows",
    "across": "axis_name group mesh_axis process_group tp_group",
}

# What serves in place of an option, for the functions without it; those that begin so, or all others.
_INSTEAD = {
    "axis": {
        "softmax2d": "call axisoft.softmax, which takes axis",
        "": "leave it out, since each element is by itself",
    },
    "keepdims": {"": "leave it out"},
    "where": {
        "softmax2d": "call axisoft.softmax",
        "nll_loss": "give sample_weight, 0 for what is left out",
        "binary": "give sample_weight, 0 for what is left out",
        "": "leave it out, since each element is by itself",
    },
    "dtype": {"softmax2d": "call axisoft.softmax", "": "convert the array first"},
    "weight": {"": "leave it out"},
    "sample_weight": {"": "leave it out"},
    "pos_weight": {"cross_entropy": "give weight, a factor per class", "": "leave it out"},
    "ignore_index": {"binary": "give sample_weight, 0 for what is left out", "": "leave it out"},
    "label_smoothing": {"nll_loss": "call axisoft.cross_entropy", "binary": "smooth the labels", "": "leave it out"},
    "z_loss": {"nll_loss": "call axisoft.cross_entropy", "": "leave it out"},
    "reduction": {"": "leave it out, since there is a result per slice"},
    "soft_cap": {"": "apply the cap first, cap * tanh(x / cap), or call axisoft.linear_cross_entropy"},
    "chunk": {"": "leave it out, since the logits are there"},
    "across": {"softmax2d": "call axisoft.softmax", "": "leave it out, since each element is by itself"},
    "targets": {"": "call axisoft.cross_entropy"},
    "argnums": {"": "give it to axisoft.value_and_grad"},
    "b": {"": "call axisoft.compat.scipy.logsumexp"},
    "return_sign": {"": "call axisoft.compat.scipy.logsumexp"},
    "beta": {"": "multiply the array by it, and divide the result"},
    "temperature": {"": "divide the array by it"},
    "out": {"": "use what the function returns"},
    "from_logits": {
        "cross": "leave it out for logits, and call axisoft.nll_loss for log-probabilities",
        "": "leave it out",
    },
    "threshold": {"": "leave it out, since there is none"},
    "num_classes": {"": "leave it out, since the class axis has that length"},
    "num_threads": {"": "call axisoft.set_num_threads"},
}  # fmt: skip

_ALSO = {
    "temperature": "tau temp",
    "from_logits": "is_logits logits_input",
    "num_classes": "n_class n_classes num_labels vocab_size",
    "num_threads": "n_jobs n_threads nthreads threads workers",
}

# What is given by position to a function that takes no more.
_EXTRA = {
    "get_num_threads": "call axisoft.set_num_threads to set it",
    "value_and_grad": "give the arguments of the function to what value_and_grad returns",
    "softmax2d": "call axisoft.softmax with axis=",
}


def spelled(fun: F) -> F:
    """The function, whose calls that do not fit its signature raise a sentence with one that does.

    It lives in the module of the function, where doctest looks for it.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return fun(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # the call fits
                raise
            raise slip(fun, args, kwargs) from None

    slip = _slip
    own = FunctionType(call.__code__, fun.__globals__, fun.__name__, None, call.__closure__)
    return functools.update_wrapper(own, fun)  # type: ignore[return-value]


def _slip(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
    """What is wrong with a call, and the call that was meant."""
    function, parameters = fun.__name__, inspect.signature(fun).parameters
    options = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    arrays = [name for name, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    missing = [name for name in arrays[len(args) :] if parameters[name].default is inspect.Parameter.empty]
    written = {name: name for i, name in enumerate(arrays) if i < len(args) or name in missing}
    unknown: list[str] = []
    by_name: list[str] = []
    by_position: list[str] = []
    ways: list[str] = []
    for name, value in kwargs.items():
        meant = name if name in options else _meant(name, arrays, options)
        if meant is None:
            ways.append(_in_place(function, name, options))
        elif meant in arrays:
            missing = [other for other in missing if other != meant]
            written[meant] = _written(meant, value) if meant == "n" else meant
        else:
            written[meant] = repr(_reduction(name, value)) if meant == "reduction" else _written(name, value)
        if name not in options:
            said = name if _written(name, value) == name else f"{name}={value!r}"
            (by_name if name in arrays else unknown).append(said)
    for i, value in enumerate(args[len(arrays) :], len(arrays) + 1):
        meant = _by_kind(value, [name for name in options if name not in written])
        if meant is not None:
            written[meant] = _written(meant, value)
        elif value is not None:
            ways.append(_EXTRA.get(function, f"name it {listed(options)}" if options else "leave it out"))
        by_position.append(f"argument {i}" if _written("", value) == "" else repr(value))
    wrong = [
        *_phrase(unknown, "is not an argument", "are not arguments"),
        *_phrase(by_name, "is given by name", "are given by name"),
        *_phrase(by_position, "is given by position", "are given by position"),
        *_phrase(missing, "is missing", "are missing"),
    ]
    if len(ways) < len(unknown) + len(by_name) + len(by_position) + len(missing):
        call = ", ".join(value if name in arrays else f"{name}={value}" for name, value in written.items())
        ways.append(f"write {function}({call})")
    return TypeError(f"{function}: {', and '.join(wrong)}; {', and '.join(dict.fromkeys(ways))}.")


def _phrase(names: Sequence[str], one: str, many: str) -> list[str]:
    return [f"{listed(names, 'and')} {one if len(names) == 1 else many}"] if names else []


def _meant(name: str, arrays: Sequence[str], options: Sequence[str]) -> str | None:
    """The argument that goes by another name elsewhere, or nearly by this one."""
    for here in (*arrays, *options):
        if name == here or name in (_ARRAYS.get(here) or _OPTIONS.get(here, "")).split():
            return here
    if any(name == other or name in names.split() for other, names in _elsewhere()):
        return None
    return nearest(name.lower(), options)


def _elsewhere() -> list[tuple[str, str]]:
    return [(name, f"{_OPTIONS.get(name, '')} {_ALSO.get(name, '')} {_ARRAYS.get(name, '')}") for name in _INSTEAD]


def _in_place(function: str, name: str, options: Sequence[str]) -> str:
    """What to do in place of giving an argument that the function lacks."""
    for other, names in _elsewhere():
        if name == other or name in names.split():
            ways = _INSTEAD[other]
            return next(way for start, way in ways.items() if function.startswith(start))
    return f"leave it out, or use {listed(options)}" if options else "leave it out"


def _written(name: str, value: Any) -> str:
    """A short value as it is written; the name of another."""
    if isinstance(value, (list, tuple)):
        return repr(value) if all(isinstance(v, int) for v in value) else name
    return repr(value) if value is None or isinstance(value, (bool, int, float, str)) else name


def _reduction(name: str, value: Any) -> str:
    """PyTorch's flags before it had reductions, or what is one already."""
    if isinstance(value, str):
        return value if value in REDUCTIONS else "mean"
    if value is not False:
        return "mean"
    return "sum" if name == "size_average" else "none"


def _by_kind(value: Any, options: Sequence[str]) -> str | None:
    """The option that a value given by position is likely meant for."""
    dtype = str(getattr(value, "dtype", ""))
    if isinstance(value, bool):
        kinds: tuple[str, ...] = ("keepdims",)
    elif isinstance(value, str):
        kinds = ("reduction",) if value in REDUCTIONS else ("dtype",)
    elif hasattr(value, "shape") and dtype and not isinstance(value, type):
        kinds = ("where",) if dtype.endswith("bool") else ("weight", "sample_weight", "where")
    elif isinstance(value, (list, tuple)) and not all(isinstance(v, int) for v in value):
        kinds = ("weight", "sample_weight")
    elif value is None or isinstance(value, (int, list, tuple)):
        kinds = ("axis",)
    else:
        kinds = ("label_smoothing",) if isinstance(value, float) else ("dtype",)
    return next((kind for kind in kinds if kind in options), None)
