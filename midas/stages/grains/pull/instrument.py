"""What the measurement needs besides the grains: frames, detector, reflections, and the widths of the boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas.archive import Archive
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
from midas.stages.grains.pull.boxes import BoxWidths
from midas.stages.grains.pull.frames import FrameReader

#: default half widths of a box: in pixels, and in steps of omega, to which half of MarginOme, or of the spread, comes
_PIXELS, _STEPS = 3.0, 1.5


@dataclass(frozen=True)
class PullSetting:
    """What all boxes of a layer share.

    Parameters
    ----------
    detector, panels, reader : where pixels look, and the frames
    region : where spots can be observed
    model : predicts the reflections of crystals
    hkls : the reflections of the model, as of hkls.csv
    widths : of the boxes
    saturation : a spot with a pixel above this is flagged, counts
    gap : rotation while the detector is read out, degrees
    """

    detector: DetectorGeometry
    panels: NDArray[np.float64]
    reader: FrameReader
    region: AcceptedRegion
    model: ReflectionModel
    hkls: Table
    widths: BoxWidths
    saturation: float
    gap: float


def setting(layer: Layer, archive: Archive, parameters: Parameters, of_setup: Parameters, hkls: Table) -> PullSetting:
    """The setting of a layer.

    Parameters
    ----------
    archive : of the layer, open
    parameters : of the archive, which say how spots are measured
    of_setup : of paramstest.txt, whose geometry is the fitted one
    hkls : all reflections of hkls.csv
    """
    detector = fitted_detector(DetectorGeometry.from_parameters(parameters), of_setup)
    reader = FrameReader(
        archive,
        parameters["ImTransOpt"],
        skip=parameters["SkipFrame"],
        current=parameters["ReferenceRingCurrent"],
        blanks=tuple(parameters[key] for key in ("BadPxIntensity", "GapIntensity") if key in parameters),
    )
    inside = within_detector(hkls, of_setup)
    listed = inside.take(np.flatnonzero(np.isin(inside.integers("ring"), of_setup["RingNumbers"])))
    if not len(listed):
        raise StageError("has none of the RingNumbers of paramstest.txt; run ff-setup", file=layer.hkls)
    region = accepted_region(of_setup, layer.detector_mask, layer.detector_pixels)
    rings = listed.integers("ring").astype(np.int32)
    model = ReflectionModel(np.array([listed[name] for name in "hkl"]), rings, instrument_of(of_setup), region)
    folder = layer.folder if (layer.folder / parameters["PanelShiftsFile"]).is_file() else Path()
    step = reader.step or abs(parameters.get("OmegaStep", 0.0))
    widths = box_widths(parameters.changed(px=detector.px, MarginOme=of_setup["MarginOme"]), step)
    limit = reader.saturation(parameters["UpperBoundThreshold"])
    return PullSetting(
        detector,
        panels_of(parameters, folder),
        reader,
        region,
        model,
        listed,
        widths,
        limit,
        gap_step(parameters),
    )


def box_widths(parameters: Parameters, step: float) -> BoxWidths:
    """`PullBox`, or what the pixel, the step and the margin of omega say; mosaic grains need room for their spread."""
    if "PullBox" in parameters:
        return BoxWidths(*parameters["PullBox"])
    across = _PIXELS * parameters["px"]
    spread = float(parameters["MosaicTolerance"]) if parameters["GrainMerging"] == "mosaic" else 0.0
    omega = _STEPS * step + max(parameters["MarginOme"], spread) / 2
    if omega <= 0:
        raise parameters.error("MarginOme", "must be greater than 0 where there is a single frame; or give PullBox")
    return BoxWidths(across, across, omega, spread)
