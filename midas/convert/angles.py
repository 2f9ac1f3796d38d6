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

_OMEGA_TOLERANCE = 1e-6


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
    if "OmegaStep" not in parameters:
        step = float(omegas[1] - omegas[0]) if len(omegas) > 1 else 0.0
        start = float(omegas[0]) + parameters["SkipFrame"] * step
        log.info("%s: OmegaStart %g and OmegaStep %g are those of the raw file", parameters.source, start, step)
        parameters = parameters.changed(OmegaStep=step, OmegaStart=start)
    step = parameters["OmegaStep"]
    expected = parameters.omega_start() + (numbers - parameters["SkipFrame"]) * step
    difference = np.abs(wrapped(omegas - expected))
    worst = int(np.argmax(difference))
    if difference[worst] <= _OMEGA_TOLERANCE:
        return parameters, None
    log.warning(
        "%s: by OmegaStart and OmegaStep frame %d begins at omega %g, by the raw file at %g; the raw file counts",
        parameters.source,
        worst,
        expected[worst],
        omegas[worst],
    )
    return parameters, omegas
