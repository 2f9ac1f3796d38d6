"""What the sigmas of a layer are made of: its tables, and what its parameters say of the fit of the grains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive
from midas.calibration.grains.fitted import GrainTables
from midas.calibration.grains.influence import Loss
from midas.experiment.detector import DetectorGeometry, has_exact_wedge
from midas.experiment.fitted_geometry import fitted_detector
from midas.experiment.scan import Scan
from midas.experiment.seed_fit import OMEGA_SCALE, SPOT_SCALE_PIXELS, SPOT_SCALE_WITHOUT_PIXEL
from midas.formats import radius
from midas.formats.grains import SPOT_MATRIX, read_grains
from midas.formats.layer import Layer
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.resolved import SPOT_OWNERS
from midas.formats.spots import EXTRA_INFO, ID_RINGS
from midas.formats.table import Table
from midas.parameters import Parameters

#: half widths of the core of the loss that the last fit of a grain has (docs/theory/refinement.md#epsilon-schedule)
_CORE, _NARROW_CORE = 0.1, 0.01


@dataclass(frozen=True)
class SigmaSettings:
    """What the parameters say.

    Parameters
    ----------
    detector : for which the spots were corrected
    loss : that the grains minimise
    floor : least scale of a spot, px
    r_sample : half width of the sample, µm
    guided : whether the grains were looked for at given ones
    combined : whether the fragments of a reflection are one spot
    """

    detector: DetectorGeometry
    loss: Loss
    floor: float
    r_sample: float
    guided: bool
    combined: bool


def parameters_of(layer: Layer) -> Parameters:
    """Those of the layer's archive, or of its paramstest.txt where it has none."""
    if layer.archive is None:
        return Parameters.read(layer.paramstest, "paramstest")
    with Archive(layer.archive) as archive:
        return archive.parameters


def settings_of(layer: Layer, parameters: Parameters, track: bool) -> SigmaSettings:
    """The settings of a layer.

    Parameters
    ----------
    parameters : of the archive, or of the parameter file that stands for it
    track : whether the grains are those of a run with seed grains; paramstest.txt may say so, too
    """
    own, of_setup = parameters.for_stage("sigma"), parameters
    if layer.archive is not None or layer.paramstest.exists():
        of_setup = Parameters.read(layer.paramstest, "paramstest")
    of_setup = of_setup.for_stage("sigma")
    px = of_setup.get("px", 0.0)
    detector = replace(
        fitted_detector(DetectorGeometry.from_parameters(own), of_setup),
        wavelength=float(of_setup["Wavelength"]),
        wedge=of_setup["Wedge"],
        exact_wedge=has_exact_wedge(of_setup),
        exact_tilts=of_setup["TiltModel"] != "legacy",
    )
    spot = SPOT_SCALE_PIXELS * px if px > 0 else SPOT_SCALE_WITHOUT_PIXEL
    core = _CORE if of_setup["RefineMethod"] == "joint" else _NARROW_CORE
    return SigmaSettings(
        detector=detector,
        loss=Loss(spot, OMEGA_SCALE, core),
        floor=own["SigmaFloor"],
        r_sample=of_setup["Rsample"],
        guided=track or bool(of_setup["GrainsFile"]),
        combined=own["GrainMerging"] == "mosaic",
    )


def tables_of(layer: Layer, parameters: Parameters) -> GrainTables:
    """The tables of a finished layer from its files."""
    extra_info = EXTRA_INFO.read(layer.extra_info)
    id_rings = ID_RINGS.read(layer.id_rings) if layer.id_rings.exists() else None
    sizes = None
    if layer.archive is not None and id_rings is not None:
        path = layer.radius(Scan.of(layer, parameters.for_stage("sigma")).frames)
        sizes = radius.LAYOUT.read(path) if path.exists() else None
    return GrainTables(
        grains=read_grains(layer.grains, through="Eul2"),
        spot_matrix=SPOT_MATRIX.read(layer.spot_matrix),
        extra_info=extra_info,
        spot_owners=SPOT_OWNERS.read(layer.spot_owners) if layer.spot_owners.exists() else None,
        spots_measured=SPOTS_MEASURED.read(layer.spots_measured) if layer.spots_measured.exists() else None,
        frames=frames_of(len(extra_info), id_rings, sizes),
    )


def frames_of(spots: int, id_rings: Table | None, sizes: Table | None) -> NDArray[np.int64] | None:
    """(spots,) frames of every spot; 1 of a spot that is in neither table; None where there are no such tables.

    Parameters
    ----------
    id_rings, sizes : of IDRings.csv and Radius_*.csv
    """
    if id_rings is None or sizes is None:
        return None
    frames = np.ones(spots, np.int64)
    spot, row = id_rings.integers("spot_id") - 1, id_rings.integers("radius_id") - 1
    known = (spot >= 0) & (spot < spots) & (row >= 0) & (row < len(sizes))
    frames[spot[known]] = sizes.integers("frames")[row[known]]
    return frames
