"""What the measurement needs besides the grains: frames, detector, reflections, and the widths of the boxes."""

from __future__ import annotations

from dataclasses import dataclass

from midas.archive import Archive
from midas.experiment.layer_view import LayerView, layer_view
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains.pull.boxes import BoxWidths
from midas.stages.grains.pull.frames import FrameReader

#: default half widths of a box: in pixels, and in steps of omega, to which half of MarginOme, or of the spread, comes
_PIXELS, _STEPS = 3.0, 1.5


@dataclass(frozen=True, kw_only=True)
class PullSetting(LayerView):
    """What all boxes of a layer share.

    Parameters
    ----------
    reader : the frames
    widths : of the boxes
    saturation : a spot with a pixel above this is flagged, counts
    """

    reader: FrameReader
    widths: BoxWidths
    saturation: float


def setting(layer: Layer, archive: Archive, parameters: Parameters, of_setup: Parameters, hkls: Table) -> PullSetting:
    """The setting of a layer.

    Parameters
    ----------
    archive : of the layer, open
    parameters : of the archive, which say how spots are measured
    of_setup : of paramstest.txt, whose geometry is the fitted one
    hkls : all reflections of hkls.csv
    """
    view = layer_view(layer, parameters, of_setup, hkls)
    reader = FrameReader.of(archive, parameters)
    step = reader.step or abs(parameters.get("OmegaStep", 0.0))
    widths = box_widths(parameters.changed(px=view.detector.px, MarginOme=of_setup["MarginOme"]), step)
    limit = reader.saturation(parameters["UpperBoundThreshold"])
    return PullSetting(
        view.detector, view.panels, view.region, view.model, view.hkls, view.gap, reader=reader, widths=widths,
        saturation=limit,
    )  # fmt: skip


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
