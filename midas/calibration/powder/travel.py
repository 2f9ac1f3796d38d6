"""The wavelength from images at several known distances (docs/theory/calibration.md#several-distances)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.points import Points
from midas.calibration.powder.rings import Rings
from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, RingSolution
from midas.experiment.ring_identify import identify
from midas.experiment.ring_model import RingPoints, Setting
from midas.runtime.errors import UsageError

#: what is fitted unless somebody wishes otherwise
FREE = (*GEOMETRY, "Wavelength")


def solve_travel(
    images: Sequence[Points],
    detectors: Sequence[DetectorGeometry],
    rings: Rings,
    travel: Sequence[float],
    settings: RingFitSettings | None = None,
    *,
    panels: NDArray[np.float64] | None = None,
    demanded: Iterable[str] = ("Wavelength",),
) -> RingSolution:
    """One instrument for several images: common wavelength, tilts and distortion, a beam centre for each.

    Parameters
    ----------
    images : points of each
    detectors : as found from each image alone, at the same wavelength; the first is the start but for the centres
    rings : that the points name
    travel : µm, how much farther the detector stood in each image than in the first; 0 for that
    settings : by default everything is free, and the travel exact (`sigma_travel` 0)
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    demanded : numbers that may not give way

    Returns
    -------
    Its `setting` has the travel and the centres of all images; strains are those of the images one after the other.

    Raises
    ------
    UsageError : fewer than two images, or not a travel for each of them that begins with 0
    UndeterminedError : when the images do not tell the wavelength
    """
    if len(images) < 2:
        raise UsageError("the wavelength needs images at two distances at least; give more --images")
    if len(travel) != len(images):
        raise UsageError(f"{len(images)} --images need as many distances after --travel, not {len(travel)}")
    if travel[0] != 0.0:
        raise UsageError(f"--travel counts from the first image, so it begins with 0, not {travel[0]:g}")
    settings = settings or RingFitSettings(free=FREE)
    y_px, z_px, sigma, ring, panel = (
        np.concatenate([getattr(points, name) for points in images])
        for name in ("y_px", "z_px", "sigma", "ring", "panel")
    )
    image = np.repeat(np.arange(len(images)), [len(points) for points in images])
    points = RingPoints.of(y_px, z_px, rings.d_spacing[ring], sigma, panel, image)
    centres = np.array([[detector.y_bc, detector.z_bc] for detector in detectors])
    start = replace(Setting.of(detectors[0], panels, travel), centres=centres)
    return identify(points, start, settings, demanded)
