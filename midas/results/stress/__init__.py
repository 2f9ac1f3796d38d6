"""From strain to stress: stiffness, stress of every grain, slip systems, averages, and the reference cell.

The theory is on docs/theory/stress.md. The options of ``ff-stress`` are here, too, and its help has to answer at once:
what needs numpy is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas.results.stress.stiffness import Stiffness, stresses

__all__ = ["Stiffness", "stresses"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("midas.results.stress.stiffness"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
