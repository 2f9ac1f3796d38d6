"""The scales of sharp matches, from the refined seeds (docs/theory/resolving.md#scales)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.sharp_match import Scales
from midas.parameters import Parameters
from midas.runtime.ragged import middles_of, offsets_of
from midas.stages.grains.inputs import GrainInputs, checked_fits

#: rows whose fitted spots are in memory at a time
_CHUNK = 4096


def scales_of(inputs: GrainInputs, parameters: Parameters, rows: NDArray[np.int64], px: float, step: float) -> Scales:
    """The scales that are given, else those of these rows of the solutions; see `Scales.of`."""
    medians = None if "OwnSigma" in parameters else _medians(inputs, rows)
    return Scales.of(parameters, medians, px, step)


def _medians(inputs: GrainInputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median distance of the spots of each row from their predictions, µm and degrees; (2, n)."""
    parts = [_medians_of(inputs, rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK)]
    return np.concatenate(parts, axis=1) if parts else np.empty((2, 0))


def _medians_of(inputs: GrainInputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    fitted = checked_fits(inputs, rows)
    offsets = offsets_of(np.diff(inputs.refined.offsets)[rows])
    return np.array([middles_of(fitted[name], offsets).sum(axis=0) / 2 for name in ("diff_pos", "diff_ome")])
