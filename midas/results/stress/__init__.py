"""From strain to stress: stiffness, stress of every grain, slip systems, averages, and the reference cell.

The theory is on docs/theory/stress.md.
"""

from midas.results.stress.stiffness import Stiffness, stresses

__all__ = ["Stiffness", "stresses"]
