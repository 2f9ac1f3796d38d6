"""Which digits a stage gives: its own on every processor, or legacy ones (docs/theory/elementary.md#legacy-digits)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from midas._ext.numerics.variant import functions_of
from midas.parameters import Parameters

P = ParamSpec("P")
T = TypeVar("T")


def digits(run: Callable[Concatenate[Any, Parameters, P], T]) -> Callable[Concatenate[Any, Parameters, P], T]:
    """Run a stage with the elementary functions that ``LegacyDigits`` of its parameters asks for."""

    @wraps(run)
    def wrapped(layer: Any, parameters: Parameters, /, *args: P.args, **more: P.kwargs) -> T:
        with functions_of(c_library=parameters.legacy_digits):
            return run(layer, parameters, *args, **more)

    return wrapped
