"""What a facade is: a function in a peer's words around axisoft's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from axisoft._check import facades

P = ParamSpec("P")
R = TypeVar("R")


def facade(
    names: Mapping[str, str] | None = None, function: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function whose errors speak of it and of its arguments, whatever the functions beneath it call them.

    The one place where errors are put into a facade's words: at its boundary, where they are on their way out. A call
    that succeeds pays for the frame alone, 0.1 us; the error keeps its type, its traceback and itself.

    Parameters
    ----------
    names : axisoft's names of the arguments, by the facade's.
    function : what the facade is called, if its name is another.
    """

    def around(fun: Callable[P, R]) -> Callable[P, R]:
        called = function or fun.__name__

        @functools.wraps(fun)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return fun(*args, **kwargs)
            except (TypeError, ValueError, IndexError) as error:
                if _is_own(error):
                    given = (*args, *kwargs.values())
                    text = facades.in_names_of(called, str(error), names or {}, given)
                    error.args = (text, *error.args[1:])
                raise

        call.__axisoft_facade__ = called  # type: ignore[attr-defined]
        return call

    return around


def _is_own(error: BaseException) -> bool:
    """Whether axisoft raised it, and not a library or Python beneath."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return module.startswith(("axisoft._check", "axisoft.compat"))
