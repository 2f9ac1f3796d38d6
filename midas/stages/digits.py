"""Which digits a stage gives: its own on every processor, or legacy ones (docs/theory/elementary.md#legacy-digits)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from midas._ext.numerics.variant import functions_of
from midas.parameters import Parameters

P = ParamSpec("P")
T = TypeVar("T")
_Run: TypeAlias = Callable[Concatenate[Any, Parameters, P], T]


def digits(part: str) -> Callable[[_Run[P, T]], _Run[P, T]]:
    """Run a stage with the elementary functions that ``LegacyDigits`` of its parameters asks for.

    Parameters
    ----------
    part : who reads the key, in `midas.parameters.readers`
    """

    def decorate(run: _Run[P, T]) -> _Run[P, T]:
        @wraps(run)
        def wrapped(layer: Any, parameters: Parameters, /, *args: P.args, **more: P.kwargs) -> T:
            with functions_of(c_library=parameters.for_stage(part).legacy_digits):
                return run(layer, parameters, *args, **more)

        return wrapped

    return decorate
