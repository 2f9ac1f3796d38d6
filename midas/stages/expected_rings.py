"""Which rings the crystals are expected to show, whether they do or not (docs/theory/fit_setup.md#rings-handed-on)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.physics.region import VERDICTS
from midas.experiment.image import PaddedImage
from midas.experiment.region import accepted_region

if TYPE_CHECKING:
    from midas.experiment.detector import DetectorGeometry
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: points of a ring that are looked at
_POINTS = 3601


def expected_rings(
    rings: ArrayLike,
    two_theta: ArrayLike,
    seen: NDArray[np.bool_],
    detector: DetectorGeometry,
    shape: tuple[int, int],
    parameters: Parameters,
) -> NDArray[np.bool_]:
    """Which rings of RingThresh count: those with spots, and those without that could have some.

    A ring that the cell and the space group promise, that lies on the detector and that stays empty is evidence against
    every grain; one warning names such rings. A threshold of 0 switches a ring off.

    Parameters
    ----------
    rings, two_theta : (r,), number and angle (degrees) of each ring
    seen : (r,) bool, whether it has accepted spots
    shape : (rows, columns) of the frames
    parameters : of the archive, with limits that pair up

    Returns
    -------
    (r,) bool
    """
    numbers = np.asarray(rings)
    used = [ring for ring, threshold in parameters.rings() if threshold > 0]
    empty = ~seen & np.isin(numbers, used)
    visible = np.zeros(len(numbers), bool)
    if empty.any():
        image = PaddedImage(*shape, parameters["ImTransOpt"])
        visible[empty] = [_visible(angle, detector, image, parameters) for angle in np.asarray(two_theta)[empty]]
    if visible.any():
        log.warning(
            "RingThresh: ring %s is without spots and its reflections count as missing; are SpaceGroup, "
            "LatticeParameter and the threshold right? Leave the ring out if it is too weak",
            " ".join(map(str, numbers[visible].tolist())),
        )
    return seen | visible


def _visible(two_theta: float, detector: DetectorGeometry, image: PaddedImage, parameters: Parameters) -> bool:
    """Whether some point of a ring is on the detector and in the accepted region."""
    eta = np.linspace(-180.0, 180.0, _POINTS)
    y_px, z_px = detector.pixel(two_theta, eta)
    inside = image.holds(y_px, z_px)
    eta = eta[inside]
    y, z = detector.plane(np.rint(y_px[inside]), np.rint(z_px[inside]))
    region = accepted_region(parameters, observed=True)
    for low, _ in parameters["OmegaRange"]:
        if (region.verdicts(np.full(len(eta), low), eta, y, z) == VERDICTS["accepted"]).any():
            return True
    return False
