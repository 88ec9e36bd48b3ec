"""The straight code that NumPy's formulas on few elements become: the same bits, whatever it was written from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import axisoft as ax
from axisoft import _core as axisoft_core
from axisoft import testing
from axisoft._backends import numpy as executor
from axisoft._backends.numpy import recorded

pytestmark = pytest.mark.backends(fits=lambda backend: backend.name == "numpy")

FUNCTIONS = (
    "softmax",
    "log_softmax",
    "logsumexp",
    "sigmoid",
    "log_sigmoid",
    "softplus",
    "nll_loss",
    "cross_entropy",
    "binary_cross_entropy_with_logits",
)


@pytest.fixture
def both(monkeypatch):
    """A call by the formula, and by what was written down at its first one, if it could be."""
    kept = recorded.Recorded()

    def run(call):
        found = []
        for calls, where in ((10**9, recorded.Recorded()), (0, kept)):
            monkeypatch.setattr(recorded, "CALLS", calls)
            monkeypatch.setattr(executor, "_recorded", where)
            found.append(call())
        return found

    run.kept = kept
    return run


def same(a, b):
    return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def others(values, dtype):
    """Other numbers in the same places: what is recorded from one of them must do for the next."""
    if dtype == "bool":
        return [values, np.roll(values, 1)]
    if values.dtype.kind != "f":
        return [values]
    flat = values.reshape(-1)
    special = np.resize([0.0, np.inf, -np.inf, np.nan, 3.0], flat.shape)
    return [
        a.reshape(values.shape) for a in (np.zeros_like(flat), flat, flat[::-1], np.sin(np.arange(flat.size)), special)
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_golden_case_gives_the_same_bits(target, both, name):
    cases = [c for c in testing.cases(name, ("float32", "float64", "float16")) if c.dtype != "int"]
    assert len(cases) > 20
    for case in cases:
        first = next(iter(case.arrays))
        choices = {n: others(values, dtype) for n, (dtype, values) in case.arrays.items()}
        for i in range(len(choices[first])):
            arrays = {n: (case.arrays[n][0], found[i % len(found)]) for n, found in choices.items()}
            by_formula, by_code = both(lambda arrays=arrays, case=case: replace(case, arrays=arrays).run(target))
            assert same(by_formula, by_code), (case.id, i)
    codes = [code for code in both.kept.kinds.values() if type(code) is not int]
    assert len(codes) > 0.9 * len(both.kept.kinds)


LAYOUTS = {
    "plain": lambda x: x,
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, 0)[::2],
    "backwards": lambda x: x[::-1],
}


@pytest.mark.parametrize("name", FUNCTIONS[:3])
def test_layouts_are_told_apart(both, name):
    """In one table: the code of one layout would take other elements of another."""
    rng, fun = np.random.default_rng(0), getattr(ax, name)
    for shape in ((4, 10), (10, 4), (3, 40, 5), (1, 100), (40, 200), (200, 40)):
        for lay in LAYOUTS.values():
            for axis in (0, 1, -1, None):
                for scale in (1.0, 30.0, 1.0):
                    x = lay((rng.normal(size=shape) * scale).astype(np.float32))
                    g = rng.normal(size=fun(x, axis=axis).shape).astype(np.float32)
                    assert same(*both(lambda x=x, axis=axis: fun(x, axis=axis)))
                    assert same(*both(lambda x=x, g=g, axis=axis: ax.vjp(fun, x, axis=axis)[1](g)[0]))


def test_options_are_told_apart(both):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(6, 5)).astype(np.float32), np.asarray([0, 1, 2, 3, 4, 0])
    w, s = rng.uniform(size=5).astype(np.float32), rng.uniform(size=6).astype(np.float32)
    for _ in range(2):
        for options in (
            {},
            {"ignore_index": 0},
            {"ignore_index": 1},
            {"label_smoothing": 0.25},
            {"label_smoothing": 0.5},
            {"z_loss": 0.5},
            {"weight": w},
            {"sample_weight": s},
            {"dtype": "float64"},
        ):
            for reduction in ("mean", "sum", "none"):
                options = options | {"reduction": reduction}
                assert same(*both(lambda options=options: ax.cross_entropy(x, t, **options)))
                y, pull = ax.vjp(ax.cross_entropy, x, t, **options)
                assert same(*both(lambda pull=pull, y=y: pull(np.ones_like(y))[0]))


def test_a_look_that_sees_something_else_finds_its_own_code(both):
    """Along the first axis, slices whose sum is below 2 are summed again: none of them, then some, then none."""
    few, many = np.asarray([[9.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), np.zeros((3, 2))
    for x in (many, few, few, many, few, np.full((3, 2), np.nan)):
        assert same(*both(lambda x=x: ax.log_softmax(x, axis=0)))
    (code,) = both.kept.kinds.values()
    assert [type(other) for other in code.otherwise.values()] == [recorded._Code]


def test_each_call_has_a_result_of_its_own(both):
    x = np.zeros((4, 40), np.float32)
    _, first = both(lambda: ax.softmax(x))
    first[...] = 7.0
    assert same(*both(lambda: ax.softmax(x)))


def test_no_more_than_so_many_kinds_are_kept(both, monkeypatch):
    monkeypatch.setattr(recorded, "MOST", 4)
    for n in range(20, 40):
        assert same(*both(lambda n=n: ax.softmax(np.ones(n))))
        assert len(both.kept.kinds) <= 4


@pytest.mark.parametrize(
    "function",
    [
        lambda a: a[0] * float(a[0].max()),
        lambda a: a[0][a[0] > 0],
        lambda a: a[0] * len(np.nonzero(a[0])[0]),
        lambda a: np.where(a[0] > 0)[0],
        lambda a: np.zeros(3),
        lambda a: np.add(a[0], 1.0, out=np.zeros(3)),
        lambda a: a[0].copy() + 1.0,
        lambda a: a[0] * max(a[0].tolist()),
        lambda a: a[0] * next(iter(a[0])),
    ],
)
def test_what_depends_on_numbers_is_not_written_down(function):
    assert recorded._written(function, [np.asarray([1.0, -2.0, 3.0])], ()) is None


def test_a_reshaped_copy_is_made_anew_when_its_array_has_changed():
    def function(arrays):
        x = (arrays[0] * 1.0)[:, :2]
        before = x.reshape(-1)
        x[...] = 0.0
        return before + x.reshape(-1)

    x = np.asarray([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    assert same(recorded._written(function, [x], ()).run(x + 1.0), function([x + 1.0]))


def test_options_are_told_apart_by_name(both):
    """In whatever order a rule of another op gives them."""
    op = axisoft_core.OPS["cross_entropy"]
    x, t = np.asarray([[1.0, 2.0, 4.0]]), np.asarray([2])
    shared = {"axis": 1, "ignore_index": None, "checked": True}
    for options in ({"label_smoothing": 0.5, "z_loss": 0.0}, {"z_loss": 0.5, "label_smoothing": 0.0}):
        by_formula = op.formula(x, t, None, None, None, xp=executor._xp, **shared, **options)
        for _ in range(2):
            by_code = both(lambda o=options: executor._do(op, x, t, None, None, None, **shared, **o))[1]
            assert same(np.asarray(by_formula), np.asarray(by_code))
