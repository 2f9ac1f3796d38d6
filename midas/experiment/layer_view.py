"""How the detector of a layer sees crystals: all that predicts the spots of its grains, put together once.

See docs/theory/evidence.md#predicted-spots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.fit_setup import read_out_correction
from midas._ext.grains.reflections import ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas.experiment.crystal import within_detector
from midas.experiment.detector import DetectorGeometry
from midas.experiment.fitted_geometry import fitted_detector
from midas.experiment.panels import panels_of
from midas.experiment.read_out import gap_step
from midas.experiment.region import accepted_region
from midas.experiment.seed_fit import instrument_of
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import StageError
from midas.runtime.named_paths import places_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerView:
    """What records the spots of the grains of a layer.

    Parameters
    ----------
    detector, panels : where pixels look
    region : where spots can be observed
    model : predicts the reflections of crystals
    hkls : the reflections of the model, as of hkls.csv
    gap : rotation while the detector is read out, degrees
    """

    detector: DetectorGeometry
    panels: Array
    region: AcceptedRegion
    model: ReflectionModel
    hkls: Table
    gap: float

    def of_frame(self, omega: Array, z_px: Array, side: int, threads: int = 1) -> Array:
        """Recorded omegas as those of frames: they are those at which a row of pixels is read out.

        Parameters
        ----------
        omega, z_px : (n,), degrees, px
        side : of the detector, padded to a square, px
        """
        if self.gap == 0:
            return omega
        return np.asarray(omega - read_out_correction(np.zeros(len(omega)), z_px, self.gap, side, threads), np.float64)


def layer_view(layer: Layer, parameters: Parameters, of_setup: Parameters, hkls: Table) -> LayerView:
    """The view of a layer.

    Parameters
    ----------
    parameters : of the archive, which say what the detector is
    of_setup : of paramstest.txt, whose geometry is the fitted one
    hkls : all reflections of hkls.csv

    Raises
    ------
    StageError, ParameterError, FormatError : naming what is missing
    """
    detector = fitted_detector(DetectorGeometry.from_parameters(parameters), of_setup)
    inside = within_detector(hkls, of_setup)
    listed = inside.take(np.flatnonzero(np.isin(inside.integers("ring"), of_setup["RingNumbers"])))
    if not len(listed):
        raise StageError("has none of the RingNumbers of paramstest.txt; run ff-setup", file=layer.hkls)
    region = accepted_region(of_setup, layer.detector_mask, layer.detector_pixels)
    rings = listed.integers("ring").astype(np.int32)
    model = ReflectionModel(np.array([listed[name] for name in "hkl"]), rings, instrument_of(of_setup), region)
    panels = panels_of(parameters, *places_of(layer.folder))
    return LayerView(detector, panels, region, model, listed, gap_step(parameters))
