"""Time that a detector takes to read a frame out (docs/theory/fit_setup.md#read-out-gap)."""

from __future__ import annotations

from midas.parameters import Parameters


def gap_step(parameters: Parameters) -> float:
    """Rotation during the read-out gap, degrees (docs/theory/fit_setup.md#read-out-gap)."""
    gap: float = parameters["tGap"]
    if gap == 0:
        return 0.0
    exposure: float = parameters["tInt"]
    if gap + exposure == 0:
        raise parameters.error("tGap", "must not be the negative of tInt")
    step: float = parameters["OmegaStep"]
    return (gap / (gap + exposure)) * step
