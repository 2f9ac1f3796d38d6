"""The instrument of a layer as other programs need it."""

from __future__ import annotations

import logging

from midas.archive import Archive
from midas.experiment.detector import DetectorGeometry
from midas.results.reading import Results
from midas.runtime.errors import MidasError

log = logging.getLogger(__name__)


def detector_of(results: Results | None) -> DetectorGeometry | None:
    """The detector with its wavelength; None where there is no layer, or no parameters in it.

    The archive tells all of it. Without one ``paramstest.txt`` tells distance, beam centre and pixel size; tilts and
    distortion are in the positions of the spots on the plane already, so that none are needed.
    """
    if results is None:
        return None
    if results.archive is not None:
        try:
            with Archive(results.archive) as archive:
                return DetectorGeometry.from_parameters(archive.parameters.for_stage("export"))
        except MidasError as error:
            log.warning("%s; the detector is taken from paramstest.txt, without tilts", error)
    return _of_text(results)


def _of_text(results: Results) -> DetectorGeometry | None:
    found = results.parameters

    def number(*keys: str) -> float | None:
        return next((float(value) for key in keys if isinstance(value := found.get(key), (int, float))), None)

    lsd, px, wavelength = number("LsdFit", "Lsd", "Distance"), number("px"), number("Wavelength")
    y_bc, z_bc, rho_d = number("YBCFit"), number("ZBCFit"), number("MaxRingRad", "RhoD")
    if lsd is None or px is None or wavelength is None or y_bc is None or z_bc is None:
        return None
    return DetectorGeometry(
        lsd, y_bc, z_bc, px, rho_d or lsd, wavelength=wavelength, wedge=number("Wedge") or 0.0,
        exact_wedge=found.get("WedgeModel", "exact") == "exact",
    )  # fmt: skip
