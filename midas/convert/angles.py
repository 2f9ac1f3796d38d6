"""The angles of the frames: those of the parameters, checked against those of the raw files.

See docs/theory/archive.md#omega-of-raw-files.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from midas.experiment.angles import wrapped
from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: how well start and step must give the angles of the files, degrees
_OMEGA_TOLERANCE = 1e-6
#: headers of frames hold angles with so few decimals
_FEWEST_DECIMALS = 3


def reconciled(
    parameters: Parameters, omegas: NDArray[np.float64] | None
) -> tuple[Parameters, NDArray[np.float64] | None]:
    """The parameters, and the angles of the single frames where start and step do not give those of the raw file.

    The angle of a frame is that at which it begins (docs/theory/conventions.md#omega-of-a-frame). Without OmegaStep the
    file's angles are used.

    Parameters
    ----------
    omegas : (frames,) degrees, of the raw files; None if they do not tell
    """
    if omegas is None:
        return parameters, None
    numbers = np.arange(len(omegas))
    tolerance = _tolerance(omegas)
    if "OmegaStep" not in parameters:
        tolerance *= 2  # the first angle, from which the others are counted, is rounded, too
        step = _step(omegas, tolerance)
        start = float(omegas[0]) + parameters["SkipFrame"] * step
        log.info("%s: OmegaStart %g and OmegaStep %g are those of the raw file", parameters.source, start, step)
        parameters = parameters.changed(OmegaStep=step, OmegaStart=start)
    step = parameters["OmegaStep"]
    expected = parameters.omega_start() + (numbers - parameters["SkipFrame"]) * step
    difference = np.abs(wrapped(omegas - expected))
    worst = int(np.argmax(difference))
    if difference[worst] <= tolerance:
        return parameters, None
    if np.abs(wrapped(omegas + expected)).max() <= tolerance:
        reason = "%s: the angles of the raw file run the other way; OmegaStart and OmegaStep count"
        log.warning(reason, parameters.source)
        return parameters, None
    log.warning(
        "%s: by OmegaStart and OmegaStep frame %d begins at omega %g, by the raw file at %g; the raw file counts",
        parameters.source,
        worst,
        expected[worst],
        omegas[worst],
    )
    return parameters, omegas


def _tolerance(omegas: NDArray[np.float64]) -> float:
    """What rounding can explain: half a unit of the last decimal with which all of the angles are written."""
    for decimals in range(_FEWEST_DECIMALS, 6):
        if np.abs(np.round(omegas, decimals) - omegas).max() < 1e-9:
            return 0.501 * 10.0**-decimals
    return _OMEGA_TOLERANCE


def _step(omegas: NDArray[np.float64], tolerance: float) -> float:
    """The mean step if it is the same throughout, since single ones suffer from rounding; else the first."""
    if len(omegas) < 2:
        return 0.0
    first = float(wrapped(omegas[1] - omegas[0]))
    mean = first + float(np.mean(wrapped(np.diff(omegas) - first)))
    uniform = np.abs(wrapped(omegas - omegas[0] - mean * np.arange(len(omegas)))).max() <= tolerance
    return mean if uniform else first
