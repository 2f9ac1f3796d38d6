"""How far the observed rings lie from the predicted ones, and which mistake of the geometry looks like that.

See docs/theory/diagnosis.md#ring-offsets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from midas._ext.numerics.elementwise import cos as cos_of
from midas._ext.numerics.elementwise import sin as sin_of
from midas.experiment.angles import DEG2RAD
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.experiment.noise import robust_spread

Floats = NDArray[np.float64]

#: a number counts when it is this many times its standard error
_CERTAIN = 5.0
#: smaller offsets are no mistake: parts per million of the radius, and parts of a pixel
_HARMLESS_PPM = 100.0
_HARMLESS_PIXELS = 0.1
#: fewer observations cannot tell three numbers from chance
_FEWEST = 8


class RingOffset(NamedTuple):
    """One ring: the number of observations, and the median of observed minus predicted radius."""

    ring: int
    observed: int
    micrometres: float
    ppm: float


@dataclass(frozen=True)
class RingOffsets:
    """The offsets of all rings, and the one mistake of scale and centre that explains them best.

    Parameters
    ----------
    rings : a `RingOffset` each, in the order of their numbers
    scale_ppm, scale_error_ppm : by how much all radii are too large; standard error
    centre : (y, z) where the centre of the rings lies from the assumed one, laboratory axes, µm
    centre_error : (2,) standard errors, µm
    spread : robust standard deviation of what remains, µm

    Scale, centre and spread are NaN where the observations cannot tell them.
    """

    rings: tuple[RingOffset, ...]
    scale_ppm: float
    scale_error_ppm: float
    centre: tuple[float, float]
    centre_error: tuple[float, float]
    spread: float

    @property
    def scale_is_wrong(self) -> bool:
        return abs(self.scale_ppm) > max(_HARMLESS_PPM, _CERTAIN * self.scale_error_ppm)

    def centre_is_wrong(self, px: float) -> bool:
        """Whether the beam centre is not where it was said to be; `px` is the size of a pixel, µm."""
        pairs = zip(self.centre, self.centre_error, strict=True)
        return any(abs(value) > max(_HARMLESS_PIXELS * px, _CERTAIN * error) for value, error in pairs)

    def sentences(self, detector: DetectorGeometry, image: PaddedImage | None = None) -> Iterator[str]:
        """What a user should look at; nothing where all is well. With the image also where BC is in the raw frames."""
        if self.scale_is_wrong:
            lsd = detector.lsd * (1 + self.scale_ppm * 1e-6)
            yield (
                f"all rings lie {self.scale_ppm:+.0f} ppm from their predicted radii: Lsd is about {lsd:.0f} "
                f"instead of {detector.lsd:.0f}, if Wavelength and LatticeParameter are right"
            )
        if self.centre_is_wrong(detector.px):
            y, z = corrected_centre(self.centre, detector)
            raw = "" if image is None else "; raw column {:.2f}, row {:.2f}".format(*image.to_raw(y, z))
            yield (
                f"the rings are shifted by {self.centre[0]:+.0f} µm along y and {self.centre[1]:+.0f} µm along z: BC "
                f"is about {y:.2f} {z:.2f} instead of {detector.y_bc:.2f} {detector.z_bc:.2f} (in the "
                f"transformed, square image{raw})"
            )


def corrected_centre(centre: tuple[float, float], detector: DetectorGeometry) -> tuple[float, float]:
    """BC in pixels when the rings are centred on (y, z) µm of the assumed beam centre; columns run towards −y."""
    return detector.y_bc - centre[0] / detector.px, detector.z_bc + centre[1] / detector.px


def ring_offsets(ring: NDArray[np.int64], ring_radius: Floats, eta: Floats, radius: Floats) -> RingOffsets:
    """Compare observed radii with predicted ones.

    Parameters
    ----------
    ring : (n,) number of the ring of each observation (a spot, or a sector of a ring)
    ring_radius : (n,) predicted, µm
    eta : (n,) degrees
    radius : (n,) observed, corrected as far as the parameters say, µm

    Notes
    -----
    With the scale s and the centre (y, z) the offset is  s · ring_radius − y · sin(eta) + z · cos(eta)  to first order;
    the circle itself is fitted, so that a centre far away does not look like a scale.
    """
    offset = radius - ring_radius
    each = [(int(number), ring == number) for number in np.unique(ring)]
    rings = tuple(_one_ring(number, offset[rows], ring_radius[rows]) for number, rows in each)
    model = np.column_stack([ring_radius * 1e-6, -sin_of(eta * DEG2RAD), cos_of(eta * DEG2RAD)])
    if len(offset) < _FEWEST or np.linalg.matrix_rank(model) < model.shape[1]:
        return RingOffsets(rings, *(np.nan,) * 2, *((np.nan, np.nan),) * 2, np.nan)
    values, errors, spread = _robust(model, ring_radius, offset)
    return RingOffsets(
        rings,
        float(values[0]),
        float(errors[0]),
        (float(values[1]), float(values[2])),
        (float(errors[1]), float(errors[2])),
        spread,
    )


def _one_ring(number: int, offset: Floats, ring_radius: Floats) -> RingOffset:
    return RingOffset(number, len(offset), float(np.median(offset)), float(np.median(offset / ring_radius)) * 1e6)


def _robust(model: Floats, ring_radius: Floats, offset: Floats) -> tuple[Floats, Floats, float]:
    """Solution, its standard errors, and the robust spread of what remains.

    Parameters
    ----------
    model : (n, 3) derivatives of the offset to first order: by the scale in ppm, and by the centre
    """

    def remains(x: Floats) -> Floats:
        along = model[:, 1:] @ x[1:]
        across = model[:, 2] * x[1] - model[:, 1] * x[2]
        scaled = ring_radius * (1 + x[0] * 1e-6)
        left: Floats = along + np.sqrt(np.maximum(scaled**2 - across**2, 0)) - ring_radius - offset
        return left

    start: Floats = np.asarray(np.linalg.lstsq(model, offset, rcond=None)[0], np.float64)
    spread = max(robust_spread(remains(start)), 1e-9)
    solution = least_squares(
        lambda x: remains(x) / spread, start, jac=lambda _: model / spread, loss="soft_l1", x_scale="jac"
    )
    spread = robust_spread(remains(solution.x))
    covariance = np.linalg.pinv(model.T @ model) * spread**2
    return solution.x, np.sqrt(np.diag(covariance)), spread
