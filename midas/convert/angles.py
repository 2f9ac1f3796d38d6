"""The angles of the frames: those of the raw files, in the sense of rotation of the parameters.

See docs/theory/archive.md#omega-of-raw-files.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas.experiment.angles import wrapped
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError

Angles = NDArray[np.float64]

#: how well start and step must give the angles of the files, degrees
_OMEGA_TOLERANCE = 1e-6
#: headers of frames hold angles with so few decimals
_FEWEST_DECIMALS = 3
#: this share of the steps of a scan that turns in one sense; the others are returns between wedges
_ONE_SENSE = 0.75
#: angles that scatter leave OmegaStep as it is if it differs by less than this part from their usual step
_SCATTER = 0.05


class Rotation(NamedTuple):
    """How a scan turns.

    Parameters
    ----------
    parameters : with the OmegaStart and OmegaStep that count
    listed : (frames,) degrees, where start and step do not give the angles; else None
    told : (frames,) degrees, the angles that the raw file tells, as they count; None if it does not
    remarks : what the user should know, a sentence each
    """

    parameters: Parameters
    listed: Angles | None = None
    told: Angles | None = None
    remarks: tuple[str, ...] = ()


def reconciled(parameters: Parameters, omegas: Angles | None, misfit: str = "") -> Rotation:
    """What counts of the angles of the parameters and those of the raw file.

    The raw file counts, start and step; only the sense of rotation is that of OmegaStep. The angle of a frame is that
    at which it begins (docs/theory/conventions.md#omega-of-a-frame).

    Parameters
    ----------
    omegas : (frames,) degrees, of the raw files; None if they do not tell
    misfit : why the angles that they have do not fit

    Raises
    ------
    ParameterError : neither parameters nor files tell the angles, and those that are in the files do not fit.
    """
    if omegas is None:
        return _by_parameters(parameters, misfit)
    omegas, remarks = _in_the_sense_of(parameters, omegas)
    tolerance = _tolerance(omegas)
    if "OmegaStep" in parameters and len(omegas):
        expected, by = _expected(parameters, omegas)
        difference = np.abs(wrapped(omegas - expected))
        worst = int(np.argmax(difference))
        counting, listed = _of_the_file(parameters, omegas, tolerance)
        if difference[worst] <= tolerance:
            return Rotation(parameters if _has_start(parameters) else counting, None, omegas, remarks)
        reason = (
            f"by {by} frame {worst} begins at omega {expected[worst]:g}, by the raw file at {omegas[worst]:g}; the "
        )
        reason += f"raw file counts: OmegaStart {counting['OmegaStart']:.10g}, OmegaStep {counting['OmegaStep']:.10g}"
        reason += "" if listed is None else ", and the angle of each frame, since they are not even"
        return Rotation(counting, listed, omegas, (*remarks, reason))
    counting, listed = _of_the_file(parameters, omegas, tolerance)
    if listed is not None:
        even = omegas[0] + counting["OmegaStep"] * np.arange(len(omegas))
        worst = int(np.argmax(np.abs(wrapped(omegas - even)) > 2 * tolerance))
        reason = f"the angles of the raw file are not even: their usual step is {counting['OmegaStep']:.6g}, but frame "
        reason += (
            f"{worst} begins at {omegas[worst]:g}, frame {worst - 1} at {omegas[worst - 1]:g}; each counts as it is"
        )
        return Rotation(counting, listed, omegas, (reason,))
    return Rotation(counting, None, omegas)


def _by_parameters(parameters: Parameters, misfit: str) -> Rotation:
    """The parameters count, since the files do not tell."""
    if "OmegaStep" not in parameters:
        if misfit:
            reason = f"is missing, and the angles of the raw file do not fit: {misfit}; give OmegaStart and OmegaStep"
            raise ParameterError(reason, file=parameters.source, key="OmegaStep")
        return Rotation(parameters)
    remarks: tuple[str, ...] = (f"the angles of the raw file do not fit and are not used: {misfit}",) if misfit else ()
    if not _has_start(parameters):
        told = "those of the raw file do not fit" if misfit else "the raw file has no angles"
        remarks += (f"neither OmegaStart nor OmegaFirstFile is given, and {told}: omega begins at 0",)
    return Rotation(parameters, remarks=remarks)


def _has_start(parameters: Parameters) -> bool:
    return "OmegaStart" in parameters or "OmegaFirstFile" in parameters


def _in_the_sense_of(parameters: Parameters, omegas: Angles) -> tuple[Angles, tuple[str, ...]]:
    """The angles, with the other sign if the motor counts against OmegaStep."""
    steps = wrapped(np.diff(omegas))
    sense = np.sign(parameters.get("OmegaStep", 0.0))
    if sense == 0 or not len(steps) or np.mean(np.sign(steps) == -sense) < _ONE_SENSE:
        return omegas, ()
    turned: Angles = 0.0 - omegas
    reason = (
        f"the angles of the raw file run the other way than OmegaStep {parameters['OmegaStep']:g}, which gives the "
        f"sense: they count with the other sign, {turned[0]:g} ... {turned[-1]:g}"
    )
    return turned, (reason,)


def _expected(parameters: Parameters, omegas: Angles) -> tuple[Angles, str]:
    """The angles by start and step, and the names of these; without a start only the step says something."""
    step = parameters["OmegaStep"]
    numbers = np.arange(len(omegas))
    name = next((name for name in ("OmegaStart", "OmegaFirstFile") if name in parameters), "")
    if not name:
        return omegas[0] + numbers * step, f"OmegaStep {step:g}"
    start = parameters.omega_start()
    return start + (numbers - parameters["SkipFrame"]) * step, f"{name} {start:g} and OmegaStep {step:g}"


def _of_the_file(parameters: Parameters, omegas: Angles, tolerance: float) -> tuple[Parameters, Angles | None]:
    """Start and step of the file, and all angles where these are not even."""
    steps = wrapped(np.diff(omegas))
    given = parameters.get("OmegaStep", 0.0)
    skipped = parameters["SkipFrame"]
    if not len(steps):
        return parameters.changed(OmegaStart=float(omegas[0]), OmegaStep=given), None
    step = float(steps[0] + np.mean(wrapped(steps - steps[0])))
    # the first angle, from which the others are counted, is rounded, too
    if np.abs(wrapped(omegas - omegas[0] - step * np.arange(len(omegas)))).max() <= 2 * tolerance:
        step = given if abs(step - given) * len(steps) <= 2 * tolerance else step
        return parameters.changed(OmegaStart=float(omegas[0]) + skipped * step, OmegaStep=step), None
    step = float(np.median(steps))
    if abs(step - given) < _SCATTER * abs(given):
        step = given
    return parameters.changed(OmegaStart=float(omegas[min(skipped, len(steps))]), OmegaStep=step), omegas


def _tolerance(omegas: Angles) -> float:
    """What rounding can explain: half a unit of the last decimal with which all of the angles are written."""
    for decimals in range(_FEWEST_DECIMALS, 6):
        if np.abs(np.round(omegas, decimals) - omegas).max() < 1e-9:
            return 0.501 * 10.0**-decimals
    return _OMEGA_TOLERANCE
