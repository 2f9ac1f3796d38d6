"""The part of the scan and of the detector in which spots are accepted, as the user describes it.

See docs/theory/region.md#ranges-and-boxes-that-are-not-given.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import VERDICTS, AcceptedRegion
from midas.experiment.detector import DetectorGeometry, has_exact_wedge
from midas.experiment.image import PaddedImage
from midas.formats.binary import INT32, read_records
from midas.parameters import Parameters
from midas.runtime.errors import FormatError

Limits: TypeAlias = tuple[tuple[float, ...], ...]

#: what stands for a limit that is not given
ANY_OMEGA = (-180.0, 180.0)
ANY_BOX = (-1e9, 1e9, -1e9, 1e9)
#: accepts every spot
UNLIMITED = AcceptedRegion(min_eta=0.0, ranges=np.array([ANY_OMEGA]), boxes=np.array([ANY_BOX]))

#: points along each side of a detector
_BORDER = 65


def paired_limits(parameters: Parameters, ranges: Limits = (ANY_OMEGA,), boxes: Limits = (ANY_BOX,)) -> Parameters:
    """The parameters with as many boxes as omega ranges.

    A single row of one of the two holds for every row of the other.

    Parameters
    ----------
    ranges, boxes : what holds where the parameters have none; by default no limit

    Raises
    ------
    ParameterError : for other unequal counts
    """
    ranges, boxes = parameters["OmegaRange"] or ranges, parameters["BoxSize"] or boxes
    if len(ranges) != len(boxes) and 1 not in (len(ranges), len(boxes)):
        reason = f"has {len(boxes)} lines, but OmegaRange has {len(ranges)}; give one for each, or one for all"
        raise parameters.error("BoxSize", reason)
    rows = max(len(ranges), len(boxes))
    return parameters.changed(
        OmegaRange=ranges * rows if len(ranges) == 1 else ranges, BoxSize=boxes * rows if len(boxes) == 1 else boxes
    )


def detector_box(
    detector: DetectorGeometry, image: PaddedImage, two_theta: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """The box, as of `BoxSize`, of a detector that looks at some rings.

    Parameters
    ----------
    two_theta : of the rings, degrees

    Returns
    -------
    The area of the detector on the plane, µm; `ANY_BOX` where all rings lie on the detector, which then limits nothing.
    """
    if on_detector(detector, image, two_theta).all():
        return ANY_BOX
    y_low, y_high, z_low, z_high = image.area
    along_y, along_z = np.linspace(y_low, y_high, _BORDER), np.linspace(z_low, z_high, _BORDER)
    y, z = detector.plane(
        np.concatenate([along_y, along_y, np.full(_BORDER, y_low), np.full(_BORDER, y_high)]),
        np.concatenate([np.full(_BORDER, z_low), np.full(_BORDER, z_high), along_z, along_z]),
    )
    return float(y.min()), float(y.max()), float(z.min()), float(z.max())


def on_detector(detector: DetectorGeometry, image: PaddedImage, two_theta: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(rings, points) bool: which points of rings, evenly spaced in eta, lie on the detector.

    Parameters
    ----------
    two_theta : of the rings, degrees
    """
    return image.holds(*detector.ring(two_theta))


def limited_omega(parameters: Parameters) -> str:
    """The column of the spot tables that omega ranges are compared with: with an exact wedge that of recorded spots."""
    return "omega_recorded" if has_exact_wedge(parameters) and parameters["Wedge"] else "omega_ideal"


def accepted_region(
    parameters: Parameters, mask_file: Path | None = None, pixels_file: Path | None = None, *, observed: bool = False
) -> AcceptedRegion:
    """The region of the parameters.

    Parameters
    ----------
    mask_file : ``BigDetectorMask.bin``, read where `BigDetSize` is given; None: never
    pixels_file : ``DetectorPixels.bin``, read where it exists, unless ``DetectorRegion 0``; None: never
    observed : for spots as recorded: their omegas may be the exact upper end of a range, which then belongs to it

    Raises
    ------
    ParameterError, FormatError : for limits that do not pair up, and a mask that does not fit
    """
    limits = paired_limits(parameters)
    side = 0 if mask_file is None else parameters["BigDetSize"]
    known = pixels_file is not None and parameters["DetectorRegion"] == 1 and pixels_file.exists()
    px = parameters["px"] if side or known else 1.0
    rasters = []
    if side and mask_file is not None:
        rasters.append(_raster(mask_file, side))
    if known and pixels_file is not None:
        rasters.append(_raster(pixels_file))
    mask, side = _packed(rasters) if rasters else (None, 0)
    return AcceptedRegion(
        min_eta=parameters["MinEta"],
        ranges=np.array(limits["OmegaRange"], np.float64),
        boxes=np.array(limits["BoxSize"], np.float64),
        mask=mask,
        mask_side=side,
        px=px,
        closed_above=observed,
    )


def _raster(path: Path, side: int | None = None) -> NDArray[np.uint8]:
    """(side, side) bits of a file, 1 = in use; without a side the file holds a square."""
    words = read_records(path, INT32, ())
    if side is None:
        side = math.isqrt(32 * len(words))
        if side * side != 32 * len(words):
            raise FormatError(f"has {4 * len(words)} bytes, which are no square of pixels; run ff-setup", file=path)
    elif 32 * len(words) < side * side:
        raise FormatError(f"has {4 * len(words)} bytes, too few for the pixels of BigDetSize {side}", file=path)
    return np.unpackbits(words.view(np.uint8), count=side * side, bitorder="little").reshape(side, side)


def _packed(rasters: list[NDArray[np.uint8]]) -> tuple[NDArray[np.int32], int]:
    """What is in use in all rasters around one beam centre, as the kernels take it, and its side."""
    side = min(map(len, rasters))
    common = np.ones((side, side), np.uint8)
    for raster in rasters:
        first = len(raster) // 2 - side // 2
        common &= raster[first : first + side, first : first + side]
    bits = np.packbits(common.ravel(), bitorder="little")
    return np.pad(bits, (0, -len(bits) % 4)).view(INT32), side


def within_omegas(omega: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """(n,) bool: which recorded omegas (degrees, of any turn) lie in low ... high, both ends included.

    The rule of the omega ranges: 100 and -260 lie in 90 ... 270.

    Examples
    --------
    >>> within_omegas(np.array([100.0, -100.0, 0.0, -90.0]), 90.0, 270.0)
    array([ True,  True, False,  True])
    """
    region = AcceptedRegion(min_eta=0.0, ranges=np.array([[low, high]]), boxes=np.array([ANY_BOX]), closed_above=True)
    away, centre = np.full(len(omega), 90.0), np.zeros(len(omega))
    inside: NDArray[np.bool_] = region.verdicts(omega, away, centre, centre) == VERDICTS["accepted"]
    return inside
