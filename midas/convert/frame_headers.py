"""What the headers of single frames tell: the angle, and pixels that a photon-counting detector marks.

See docs/theory/archive.md#headers-of-frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.runtime.errors import FormatError

#: with this name of a motor the headers do not count
NO_MOTOR = "none"

#: motors that turn the sample, and keys of headers that hold the angle at which the frame begins; the first one counts
_MOTORS = ("omega", "rot", "diffrz")
_KEYS = ("start_angle", "omegastart", "omega_start", "omega")

_COUNTERS = ("PILATUS", "EIGER")


def counts_photons(text: str) -> bool:
    """Whether a header is that of a detector that marks pixels (`marked`)."""
    return any(name in text.upper() for name in _COUNTERS)


def marked(frame: NDArray[Pixel]) -> NDArray[np.bool_]:
    """Pixels that measure nothing: -1 (gap between modules) and -2 (bad), as numbers without sign the two largest."""
    largest = 2 ** (8 * frame.dtype.itemsize)
    values = (largest - 1, largest - 2) if frame.dtype.kind == "u" else (-1, -2)
    return np.isin(frame, values)


def comments(text: str) -> dict[str, str]:
    """Names and values of lines like ``# Start_angle 0.0000 deg.``."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.strip().lstrip("#").replace(":", " ", 1).replace("=", " ", 1).split(None, 1)
        if line.lstrip().startswith("#") and len(words) == 2:
            found.setdefault(words[0], words[1])
    return found


def omega_of(header: Mapping[str, str], motor: str, path: Path) -> float | None:
    """The angle at which a frame begins, in degrees; None if its header does not tell.

    Parameters
    ----------
    header : keys and values; positions of motors may stand in ``motor_mne`` and ``motor_pos``
    motor : name of the motor or the key that has it; "" = the usual ones
    path : of the file, for messages

    Raises
    ------
    FormatError : there is no such motor or key
    """
    if motor == NO_MOTOR:
        return None
    motors = dict(zip(header.get("motor_mne", "").split(), header.get("motor_pos", "").split(), strict=False))
    lower = {key.lower(): value for key, value in header.items()}
    if motor:
        found = motors.get(motor, lower.get(motor.lower()))
        if found is None:
            names = ", ".join([*motors, *header][:20])
            raise FormatError(f"no motor or key of this name in the header; there is {names}", file=path, key=motor)
        return _number(found, motor, path)
    for name in _MOTORS:
        if name in motors:
            return _number(motors[name], name, path)
    return next((_number(lower[key], key, path) for key in _KEYS if key in lower), None)


def _number(text: str, name: str, path: Path) -> float:
    """The first word of a value as a number."""
    try:
        value = float(text.split()[0])
    except (IndexError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"is no number: {text!r}; name another motor with OmegaMotor, or 'none'", file=path, key=name)
    return value
