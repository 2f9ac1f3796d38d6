"""Which digits a stage gives: its own on every processor, or legacy ones (docs/theory/elementary.md#legacy-digits)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from midas._ext.numerics.variant import functions_of
from midas.parameters import Parameters

P = ParamSpec("P")
T = TypeVar("T")


def digits(stage: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Run a stage with the elementary functions that ``LegacyDigits`` of its parameters asks for.

    Parameters
    ----------
    stage : its name in `midas.parameters.readers`
    """

    def decorate(run: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(run)

        @wraps(run)
        def wrapped(*args: P.args, **named: P.kwargs) -> T:
            parameters: Parameters = signature.bind(*args, **named).arguments["parameters"]
            with functions_of(c_library=parameters.for_stage(stage).legacy_digits):
                return run(*args, **named)

        return wrapped

    return decorate
