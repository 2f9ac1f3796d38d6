"""The grain tables: ``Grains.csv``, ``SpotMatrix.csv`` (docs/theory/grains.md#grain-list)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.experiment.orientation import euler_angles
from midas.experiment.vectors import SYMMETRIC
from midas.formats.grains import (
    CELL,
    EULER_ANGLES,
    FABLE,
    GRAINS,
    KENESEI,
    ORIENTATION,
    POSITION,
    SPOT_MATRIX,
    GrainsHeader,
)
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import StageError
from midas.runtime.files import remove
from midas.stages.grains.inputs import GrainInputs
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.strain import Strains, strains

log = logging.getLogger(__name__)

_MICROSTRAIN = 1e6

#: columns of SpotMatrix.csv that are columns of the spot table
_OF_SPOT = {
    "Omega": "omega_ideal",
    "DetectorHor": "y_recorded",
    "DetectorVert": "z_recorded",
    "OmeRaw": "omega_detector",
    "Eta": "eta",
    "RingNr": "ring",
    "YLab": "y_ideal",
    "ZLab": "z_ideal",
}


def tables(
    inputs: GrainInputs, parameters: Parameters, lsd: float, found: GrainSolutions, threads: int
) -> tuple[Table, Table]:
    """``Grains.csv`` and ``SpotMatrix.csv`` of the grains, before rounding."""
    _check_rings(inputs, found)
    strain = strains(inputs, parameters, lsd, found, threads)
    grains: dict[str, ArrayLike] = {"GrainID": found.ids, **fitted_columns(found, strain)}
    grains |= {"GrainRadius": found.grain_radius, "Confidence": found.completeness}
    grains["PhaseNr"] = np.full(len(found), parameters["PhaseNr"])
    own = inputs.spots.take(found.spots - 1)
    spot_matrix: dict[str, ArrayLike] = {column: own[name] for column, name in _OF_SPOT.items()}
    spot_matrix |= {"GrainID": np.repeat(found.ids, np.diff(found.offsets)), "SpotID": found.spots}
    spot_matrix |= {"Theta": own["two_theta"] / 2, "StrainError": strain.residuals}
    return Table.from_columns(GRAINS.names, grains), Table.from_columns(SPOT_MATRIX.names, spot_matrix)


def fitted_columns(found: GrainSolutions, strain: Strains) -> dict[str, NDArray[np.float64]]:
    """The columns of ``Grains.csv`` that a fit gives, before rounding."""
    columns = _named(ORIENTATION, found.orientation) | _named(POSITION, found.position) | _named(CELL, found.cell)
    columns |= {"DiffPos": found.diff_pos, "DiffOme": found.diff_ome, "DiffAngle": found.diff_angle}
    columns |= _named(FABLE, _MICROSTRAIN * strain.fable) | _named(KENESEI, _MICROSTRAIN * strain.kenesei[:, SYMMETRIC])
    columns |= _named(EULER_ANGLES, euler_angles(found.orientation.reshape(-1, 3, 3)))
    return columns | {"RMSErrorStrain": _MICROSTRAIN * strain.rms}


def _named(names: tuple[str, ...], columns: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The columns of (n, k) numbers."""
    return dict(zip(names, columns.T, strict=True))


def _check_rings(inputs: GrainInputs, found: GrainSolutions) -> None:
    """Every spot of a grain lies on a ring."""
    if (bad := np.flatnonzero(inputs.spacings[found.spots] <= 0)).size:
        grain = found.ids[np.searchsorted(found.offsets, bad[0], side="right") - 1]
        raise StageError(f"spot {found.spots[bad[0]]} of grain {grain} lies on no ring of IDsHash.csv or hkls.csv")


def header(grains: Table, parameters: Parameters) -> GrainsHeader:
    volumes = grains["GrainRadius"] ** 3
    total = volumes.sum()
    return GrainsHeader(
        count=len(grains),
        beam_center=float((grains["Z"] * volumes).sum() / total) if total > 0 else 0.0,
        beam_thickness=parameters["BeamThickness"],
        global_position=parameters["GlobalPosition"],
        phases=parameters["NumPhases"],
        space_group=parameters["SpaceGroup"],
        lattice_parameter=parameters["LatticeParameter"],
    )


def remove_consolidated(layer: Layer) -> None:
    """Remove the file that would hold other grains than the tables, and say how to get it back."""
    if layer.consolidated.exists():
        remove(layer.consolidated)
        folder = layer.folder.resolve()
        message = "%s is out of date and was removed; write it again with: ff-midas -resultFolder %s -reprocess 1"
        log.warning(message, layer.consolidated.name, folder)
