"""``diagnose`` as it is called: arguments that make no sense, arrays without values, what is printed, the command."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from diagnosed import BINARY, IMAGE, MAP, NLL, NUMPY, PAIRS, SEEN, YES, T, X, run, with_values

import axisoft as ax
from axisoft.__main__ import main
from axisoft._diagnose import Diagnosis, Finding

# Arguments ------------------------------------------------------------------------------------------------------------

ERRORS = [
    (
        lambda: ax.diagnose([1.0]),
        TypeError,
        "logits is a list, not an array; convert it first, for example with numpy.asarray(logits).",
    ),
    (
        lambda: ax.diagnose(X, [0]),
        TypeError,
        "targets is a list, not an array; convert it first, for example with numpy.asarray(targets).",
    ),
    (
        lambda: ax.diagnose(X, axis=2),
        ValueError,
        "axis 2 is out of bounds for logits with shape (8, 3); use an axis in [-2, 2).",
    ),
    (lambda: ax.diagnose(X, axis=None), TypeError, "axis None is not an integer; use an int."),
    (
        lambda: ax.diagnose(X, where=SEEN * 1),
        TypeError,
        "where has dtype int64, not bool; pass a boolean array, for example where != 0.",
    ),
    (lambda: ax.diagnose(X, label_smoothing=1.0), ValueError, "label_smoothing is 1.0; use a number in [0, 1)."),
    (lambda: ax.diagnose(X, ignore_index=0.5), TypeError, "ignore_index is 0.5, not an integer; use an int or None."),
    (
        lambda: ax.diagnose(X, loss="mse"),
        ValueError,
        'loss is \'mse\'; use "cross_entropy", "nll_loss" or "binary_cross_entropy_with_logits".',
    ),
    (
        lambda: ax.diagnose(X, loss=None),
        ValueError,
        'loss is None; use "cross_entropy", "nll_loss" or "binary_cross_entropy_with_logits".',
    ),
    (
        lambda: ax.diagnose(X, loss="nll_loss", where=SEEN),
        ValueError,
        "where is given, but nll_loss has no such option; leave it out.",
    ),
    (
        lambda: ax.diagnose(X, ignore_index=0, **BINARY),
        ValueError,
        "ignore_index is given, but binary_cross_entropy_with_logits has no such option; leave it out.",
    ),
    (
        lambda: ax.diagnose(X, label_smoothing=0.1, **NLL),
        ValueError,
        "label_smoothing is given, but nll_loss has no such option; leave it out.",
    ),
    (
        lambda: ax.diagnose(X * 1j),
        TypeError,
        "logits has dtype complex128, and complex numbers have no order; pass its real part, its imaginary part or "
        "abs(logits).",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=range(len(ERRORS)))
def test_arguments_that_are_none(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == f"diagnose: {text}"


def no_values(name):
    what = "has no values that can be read here, as it is lazy, traced or without data"
    hint = "compute it first, or call diagnose outside of the transformation"
    return pytest.raises(TypeError, match=f"^{re.escape(f'diagnose: {name} {what}; {hint}.')}")


@pytest.mark.backends(fits=lambda backend: backend.name == "dask")
def test_lazy_arrays_are_an_error_and_are_not_computed(target):
    import dask

    def forbidden(*args, **kwargs):
        raise AssertionError("a lazy graph was computed")

    x = target.array(X, "float32")
    with dask.config.set(scheduler=forbidden), no_values("logits"):
        ax.diagnose(x)
    assert ax.diagnose(x.compute()) == []


@pytest.mark.backends(fits=lambda backend: backend.name == "jax")
def test_traced_arrays_are_an_error(target):
    import jax

    x, t = target.array(X, "float32"), target.array(T, "int")
    for transform in (jax.jit, jax.vmap, jax.jacrev, jax.eval_shape):
        call = lambda x: (ax.diagnose(x), x)[1]
        with no_values("logits"):
            transform(call, x) if transform is jax.eval_shape else transform(call)(x)
    with no_values("targets"):
        jax.jit(lambda t: (ax.diagnose(x, t), t)[1])(t)
    assert jax.jit(lambda a: a + len(ax.diagnose(x, t)))(1) == 1, "what is known while tracing can be read"


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_tensors_without_values_are_an_error(target):
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    for x in (torch.zeros(2, 3, device="meta"), FakeTensorMode().from_tensor(torch.zeros(2, 3))):
        with no_values("logits"):
            ax.diagnose(x)
    with no_values("logits"):
        torch.vmap(lambda x: (ax.diagnose(x), x)[1])(torch.zeros(2, 3))


@pytest.mark.backends(fits=lambda backend: backend.name == "torch")
def test_tensors_that_record_are_read_and_nothing_is_recorded(target):
    import torch

    x = target.array(X, "float32").requires_grad_()
    assert ax.diagnose(x, target.array(T, "int")) == []
    assert ax.diagnose(torch.nn.Parameter(x)) == []
    assert torch.func.grad(lambda x: (ax.diagnose(x), (x * x).sum())[1])(x).shape == x.shape
    assert x.grad_fn is None
    assert ax.diagnose(x * 1000).codes == ["saturated"]


# What it prints -------------------------------------------------------------------------------------------------------


def test_a_diagnosis_is_a_list_that_prints():
    found = ax.diagnose(X, with_values(T, i4=255), ignore_index=-100)
    assert isinstance(found, list)
    assert isinstance(found, Diagnosis)
    assert (len(found), bool(found), found.codes) == (1, True, ["not-ignored"])
    text = (
        "1 finding in cross_entropy along axis 1, float64 logits of shape (8, 3), int64 targets of shape (8,), "
        "ignore_index=-100\n"
        "not-ignored: 255 in 1 of 8 targets, first at (4,): it is none of the 3 classes, and ignore_index is -100.\n"
        "  -> Give ignore_index=255 if it marks what has no label."
    )
    assert " ".join(str(found).split()) == " ".join(text.split())
    assert repr(found) == str(found)
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(AttributeError):
        found[0].code = "other"
    nothing = ax.diagnose(X, T, weight=np.ones(3), label_smoothing=0.1)
    assert (len(nothing), bool(nothing), nothing) == (0, False, [])
    assert str(nothing) == (
        "nothing found in cross_entropy along axis 1, float64 logits of shape (8, 3), int64 targets of shape (8,), "
        "float64 weight of shape (3,), label_smoothing=0.1"
    )


def test_lines_are_short_and_no_shape_is_cut():
    for code, (red, *_) in PAIRS.items():
        _, *lines = str(run(NUMPY, red)).split("\n")
        assert max(map(len, lines)) <= 100
        for line in lines:
            assert not re.search(r"\([^)]*$", re.sub(r"\([^)]*\)", "", line)), line
        assert lines[0].startswith(f"{code}: ")


@pytest.mark.parametrize("code", PAIRS)
def test_findings_are_sentences(code):
    for finding in run(NUMPY, PAIRS[code][0]):
        assert isinstance(finding, Finding)
        assert finding.seen.endswith(".")
        assert finding.advice.endswith(".")
        assert finding.advice[0].isupper()
        assert not re.search(r"float64\(|np\.|torch\.|None", finding.seen + finding.advice)


TEXTS = {
    "axis-of-length-1": (
        "the class axis 1 of logits with shape (8, 1) has length 1: softmax is 1 for whatever number is there, "
        "cross_entropy is 0, and its gradient too.",
        "For one score a sample, use sigmoid and binary_cross_entropy_with_logits; if the classes lie along another "
        "axis, name it with axis= (longer ones: 0).",
    ),
    "another-axis": (
        "the targets with shape (2, 3, 5) fit axis 1 of logits with shape (2, 4, 3, 5) as class indices, not axis 3.",
        "Give axis=1 for 4 classes.",
    ),
    "ambiguous-axis": (
        "class indices with shape (2, 5) fit axis 2 of logits with shape (2, 5, 5), and axis 1 as well: no error would "
        "tell if the wrong one were taken.",
        "Make sure that the classes lie along axis 2.",
    ),
    "one-hot-integers": (
        "targets of dtype int64 in the shape (8, 3) of the logits are one-hot along axis 1; cross_entropy takes class "
        "indices in the shape of the slices.",
        "If just one class is right, give cross_entropy argmax(targets, axis=1) or the targets in a floating dtype; if "
        "each is a yes or no, use binary_cross_entropy_with_logits.",
    ),
    "labels-0-255": (
        "the targets hold 0 and 255 and nothing else, 255 in 12 of 24 targets, first at (0, 1).",
        "If 255 stands for yes, as in the image of a mask, give targets == 255, as integers for classes and in any "
        "real dtype for binary labels; if it marks what has no label, give those a sample_weight of 0.",
    ),
    "not-ignored": (
        "255 in 2 of 8 targets, first at (4,): it is none of the 3 classes, and no ignore_index is given.",
        "Give ignore_index=255 if it marks what has no label.",
    ),
    "logits-nan": (
        "NaN in 1 of 8 slices, first at (2,): softmax and the loss are NaN.",
        "Look at what made them; or give these samples a sample_weight of 0.",
    ),
    "nothing-visible": (
        "where hides 1 of 8 slices entirely, first at (2,): softmax is 0, the loss +inf.",
        "Give these samples a sample_weight of 0.",
    ),
    "class-absent": (
        "1 of 3 classes without a sample among 8: 2.",
        "Look at the table of labels and the number of classes, unless these samples happen to have none of them.",
    ),
}


@pytest.mark.parametrize("code", TEXTS)
def test_the_texts_word_for_word(code):
    (finding,) = run(NUMPY, PAIRS[code][0])
    assert (finding.seen, finding.advice) == TEXTS[code]


def test_the_page_shows_what_is_printed():
    page = (Path(__file__).resolve().parent.parent / "docs" / "diagnose.md").read_text()
    names = {}
    examples = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    assert len(examples) == page.count("```python")
    for code, printed in examples:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "docs/diagnose.md", "exec"), names)
        assert out.getvalue() == printed


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    def save(name, *arrays, **named):
        path = tmp_path / name
        if name.endswith(".npz"):
            np.savez(path, *arrays, **named)
        else:
            np.save(path, *arrays, allow_pickle=arrays[0].dtype == object)
        return str(path)

    return save


def test_the_command(capsys, file):
    x, t = file("x.npy", IMAGE), file("t.npy", MAP)
    assert main(["diagnose", x, t]) == 1
    assert capsys.readouterr().out == f"{ax.diagnose(IMAGE, MAP)}\n"
    assert main(["diagnose", x, t, "--axis", "1"]) == 0
    assert capsys.readouterr().out.startswith("nothing found in cross_entropy along axis 1, ")
    assert main(["diagnose", x]) == 0


def test_the_commands_options(capsys, file):
    x, t = file("x.npy", X), file("t.npy", with_values(T, i4=255))
    assert main(["diagnose", x, t]) == 1
    assert main(["diagnose", x, t, "--ignore-index", "255"]) == 0
    assert main(["diagnose", x, file("y.npy", YES), "--loss", BINARY["loss"]]) == 0
    arrays = {"weight": np.ones(3), "sample_weight": np.ones(8), "where": SEEN}
    files = [word for name, a in arrays.items() for word in (f"--{name.replace('_', '-')}", file(f"{name}.npy", a))]
    options = ["--ignore-index", "-1", "--label-smoothing", "0.1", "--axis", "-1"]
    capsys.readouterr()
    assert main(["diagnose", x, file("u.npy", T), *files, *options]) == 0
    expected = ax.diagnose(X, T, **arrays, ignore_index=-1, label_smoothing=0.1)
    assert capsys.readouterr().out == f"{expected}\n"


def test_the_command_in_json(capsys, file):
    assert main(["diagnose", file("x.npy", X), file("t.npy", with_values(T, i4=255)), "--json"]) == 1
    out = json.loads(capsys.readouterr().out)
    assert out["axisoft"] == ax.__version__
    assert out["subject"].startswith("cross_entropy along axis 1")
    (finding,) = out["findings"]
    assert (finding["code"], finding["count"], finding["first"]) == ("not-ignored", 1, [4])
    assert finding["advice"] == "Give ignore_index=255 if it marks what has no label."
    assert main(["--json", "diagnose", file("x.npy", X)]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_files_of_several_arrays(capsys, file):
    """By their names, or else in their order."""
    said = f"{ax.diagnose(IMAGE, MAP)}\n"
    assert main(["diagnose", file("order.npz", IMAGE, MAP)]) == 1
    assert capsys.readouterr().out == said
    assert main(["diagnose", file("names.npz", targets=MAP, logits=IMAGE, other=X)]) == 1
    assert capsys.readouterr().out == said
    assert main(["diagnose", file("one.npz", IMAGE), file("two.npz", targets=MAP, other=X)]) == 1
    assert capsys.readouterr().out == said
    assert main(["diagnose", file("alone.npz", logits=IMAGE, other=X)]) == 0


def test_what_makes_no_sense_is_exit_status_2(capsys, file, tmp_path):
    x = file("x.npy", X)
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "nothing.npy").touch()
    (tmp_path / "torn.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-8])
    pickled = file("pickled.npy", np.asarray([{}], dtype=object))
    numbers = "holds no array of numbers that can be read; save arrays of numbers with numpy.save or numpy.savez."
    cases = [
        (
            [str(tmp_path / "gone.npy")],
            f"{tmp_path / 'gone.npy'} cannot be read: No such file or directory; name a file that is there.",
        ),
        ([str(tmp_path)], f"{tmp_path} cannot be read: Is a directory; name a file that is there."),
        *(
            ([str(tmp_path / f"{name}.npy")], f"{tmp_path / f'{name}.npy'} {numbers}")
            for name in ("text", "nothing", "torn", "pickled")
        ),
        ([file("pickled.npz", np.asarray([{}], dtype=object))], f"{tmp_path / 'pickled.npz'} {numbers}"),
        ([x, pickled], f"{pickled} {numbers}"),
        (
            [file("three.npz", X, X, X)],
            f"{tmp_path / 'three.npz'} holds the arrays arr_0, arr_1, arr_2; save logits and targets alone, or by "
            "these names.",
        ),
        (
            [file("none.npz")],
            f"{tmp_path / 'none.npz'} holds the arrays (none); save logits and targets alone, or by these names.",
        ),
        ([x, "--axis", "2"], "diagnose: axis 2 is out of bounds for logits with shape (8, 3); use an axis in [-2, 2)."),
        (
            [x, "--loss", "mse"],
            'diagnose: loss is \'mse\'; use "cross_entropy", "nll_loss" or "binary_cross_entropy_with_logits".',
        ),
        (
            [x, "--where", x],
            "diagnose: where has dtype float64, not bool; pass a boolean array, for example where != 0.",
        ),
        (
            [file("words.npy", np.asarray(["a"]))],
            "diagnose: logits has dtype <U1, which is not a real one; convert it to a floating, integer or boolean "
            "dtype.",
        ),
    ]
    for words, text in cases:
        assert main(["diagnose", *words]) == 2, words
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", f"axisoft: {text}\n")
    for words in (["diagnose"], ["diagnose", x, "--axis", "rows"], ["diagnose", x, x, x]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_no_pickle_is_run(file, tmp_path):
    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for name in ("evil.npy", "evil.npz"):
        assert main(["diagnose", file(name, np.asarray([Runs()], dtype=object))]) == 2
    assert not (tmp_path / "ran").exists()


def test_as_a_module(file):
    result = subprocess.run(
        [sys.executable, "-m", "axisoft", "diagnose", file("b.npz", IMAGE, MAP)], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert "another-axis: " in result.stdout
