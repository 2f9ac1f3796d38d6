"""From strain to stress: stiffness, stress of every grain, slip systems, averages, and the reference cell.

The theory is on docs/theory/stress.md. The options of ``ff-stress`` are here, too, and its help has to answer at once:
what needs numpy is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas.runtime.lazy import names_of

if TYPE_CHECKING:
    from midas.results.stress.stiffness import Stiffness, stresses

__all__ = ["Stiffness", "stresses"]

__getattr__, __dir__ = names_of(__name__, {"stiffness": "Stiffness stresses"})
