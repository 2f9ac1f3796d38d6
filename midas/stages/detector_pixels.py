"""Where on the rings the detector has a pixel in use, for the stages that know no detector.

See docs/theory/region.md#pixels-of-the-detector.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot, tan
from midas.archive import Archive
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage, raw_numbers
from midas.experiment.region import on_detector
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.files import remove, write_atomic

log = logging.getLogger(__name__)

#: half width of the part of the raster around a ring that is looked at: room for strain, and for rounding (cells)
_STRAIN, _CELLS = 0.01, 2
#: no detector sees rings of so many pixels, and no memory holds such a raster
_MOST_CELLS = 40000
#: rows of the raster that are looked at together
_ROWS = 256


def write_detector_pixels(
    layer: Layer, detector: DetectorGeometry, two_theta: NDArray[np.float64], parameters: Parameters
) -> None:
    """Write ``DetectorPixels.bin``, or remove it where the detector sees all rings or the pixels do not matter.

    Parameters
    ----------
    two_theta : of the rings, degrees
    parameters : of the archive
    """
    remove(layer.detector_pixels)
    if not parameters["DetectorRegion"] or layer.archive is None:
        return
    with Archive(layer.archive) as archive:
        rows, columns = archive.frames.shape[1:]
        mask = archive.mask[0] != 0 if archive.mask is not None and len(archive.mask) else None
    operations = parameters["ImTransOpt"]
    if mask is None and on_detector(detector, PaddedImage(rows, columns, operations), two_theta).all():
        return
    numbers = raw_numbers((rows, columns), operations)
    live = numbers >= 0
    if mask is not None:
        live &= ~mask.ravel()[numbers]
    across = 2 * detector.lsd * float(tan(np.radians(two_theta)).max()) / detector.px
    if not across < _MOST_CELLS:
        raise parameters.error("px", f"makes the rings {across:.3g} pixels wide; check px, Lsd and RhoD")
    raster, dead, looked_at = _raster(detector, live, detector.lsd * tan(np.radians(two_theta)))
    if not dead:
        return
    write_atomic(layer.detector_pixels, np.packbits(raster.ravel(), bitorder="little").tobytes())
    log.info("%.1f %% of the rings lie beside the detector or on its mask", 100 * dead / looked_at)


def _raster(
    detector: DetectorGeometry, live: NDArray[np.bool_], ring_radii: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], int, int]:
    """The raster around the beam, indexed [z, y], how many of its cells on rings are dead, and how many there are.

    Cells beside all rings are live: nothing is expected there. `live` says it of the detector's pixels, indexed [y, z].
    """
    cells = np.max(ring_radii) * (1 + _STRAIN) / detector.px + _CELLS + 1
    side = 8 * int(np.ceil(cells / 4))
    raster = np.ones((side, side), np.bool_)
    centres = (np.arange(side) + 0.5 - side // 2) * detector.px
    dead = looked_at = 0
    inner, outer = _bands(ring_radii, detector.px)
    for first in range(0, side, _ROWS):
        z, y = np.meshgrid(centres[first : first + _ROWS], centres, indexing="ij")
        radius = hypot(y, z)
        near = np.searchsorted(inner, radius, "left") > np.searchsorted(outer, radius, "right")
        y_px, z_px = detector.pixel_of_plane(y[near], z[near])
        seen = _lives(live, y_px, z_px)
        raster[first : first + _ROWS][near] = seen
        dead += int((~seen).sum())
        looked_at += len(seen)
    return raster, dead, looked_at


def _bands(ring_radii: NDArray[np.float64], px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inner and outer edges of the bands about the rings, each in ascending order.

    A radius lies in a band if more bands have begun below it than have ended: no matter how many rings there are.
    """
    half = _STRAIN * ring_radii + _CELLS * px
    return np.sort(ring_radii - half), np.sort(ring_radii + half)


def _lives(live: NDArray[np.bool_], y_px: NDArray[np.float64], z_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether places on the detector (px) lie on a pixel in use."""
    side = len(live)
    inside = (y_px >= -0.5) & (y_px < side - 0.5) & (z_px >= -0.5) & (z_px < side - 0.5)  # not where they are NaN
    out = np.zeros(len(y_px), np.bool_)
    column, row = (np.floor(place[inside] + 0.5).astype(int) for place in (y_px, z_px))
    out[inside] = live[column, row]
    return out
