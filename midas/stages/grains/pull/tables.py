"""What the measurement leaves: ``SpotsMeasured.csv``, and ``Grains.csv`` with the grains as refined on these spots."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from midas.formats.grains import GRAINS, GrainIdsKey
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.ragged import offsets_of
from midas.stages.grains.pull.instrument import PullSetting
from midas.stages.grains.pull.refit import Refit
from midas.stages.grains.pull.rounds import Measured
from midas.stages.grains.pull.spread import spreads
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.strain import strains_of
from midas.stages.grains.strays import explained
from midas.stages.grains.tables import fitted_columns

#: a connected peak farther from the measured spot than this is another one; half widths of a box
_SAME_SPOT = 1.0
#: keeps grains and rings apart in a tree of places; half widths of a box
_APART = 1e3


def measured_table(
    setting: PullSetting, measured: Measured, ids: NDArray[np.int64], connected: NDArray[np.int64]
) -> Table:
    """``SpotsMeasured.csv`` before rounding.

    Parameters
    ----------
    ids : of the grains
    connected : id of the connected peak of each spot, 0 where there is none
    """
    sums, predicted = measured.sums, measured.predicted
    columns: dict[str, ArrayLike] = {name: setting.hkls[name][predicted.hkl] for name in "hkl"}
    columns |= {"GrainID": ids[predicted.crystal], "Branch": predicted.branch, "RingNr": predicted.ring}
    columns |= {"YLab": measured.y, "ZLab": measured.z, "Omega": measured.omega, "Eta": measured.eta}
    columns |= {"Sum": sums["intensity"], "Background": sums["background"]}
    columns |= {"nPixels": sums["pixels"], "nFrames": sums["frames"], "SigmaR": np.sqrt(sums["radial_variance"])}
    columns |= {"SigmaEta": np.degrees(np.sqrt(sums["arc_variance"]) / measured.boxes.radius)}
    columns |= {"SigmaOme": np.sqrt(sums["omega_variance"]), "Saturated": sums["highest"] > setting.saturation}
    columns |= {"SpotID": connected, "Source": measured.source}
    return Table.from_columns(SPOTS_MEASURED.names, columns)


def quality_table(quality: Table, setting: PullSetting, measured: Measured, ids: NDArray[np.int64]) -> Table:
    """``GrainQuality.csv`` with what the measured spots say of the grains.

    Parameters
    ----------
    ids : of the grains that were measured
    """
    place = {grain: row for row, grain in enumerate(ids.tolist())}
    rows = np.array([place.get(grain, -1) for grain in quality.integers("GrainID").tolist()], np.int64)
    known = rows >= 0
    crystal, saturated = measured.predicted.crystal, measured.sums["highest"] > setting.saturation
    new = {
        "nMeasured": np.bincount(crystal, minlength=len(ids)),
        "nSaturated": np.bincount(crystal[saturated], minlength=len(ids)),
    } | dict(zip(("Spread", "FWHM1", "FWHM2", "FWHM3"), spreads(setting, measured, len(ids)).T, strict=True))
    columns = {name: quality[name].copy() for name in GRAIN_QUALITY.names}
    for name, values in new.items():
        columns[name][known] = values[rows[known]]
    return Table.from_columns(GRAIN_QUALITY.names, columns)


def connected_spots(
    measured: Measured, ids: NDArray[np.int64], spot_matrix: Table, extra_info: Table
) -> NDArray[np.int64]:
    """Id of the connected peak of each measured spot: the nearest one of its grain and ring, if it lies in the box.

    Parameters
    ----------
    ids : of the grains
    spot_matrix, extra_info : the peaks of each grain, and where they are
    """
    found = np.zeros(len(measured.sums), np.int64)
    if not len(spot_matrix) or not len(found):
        return found
    half = measured.boxes.half.min(axis=0)
    own = extra_info.take(spot_matrix.integers("SpotID") - 1)
    place = {grain: number for number, grain in enumerate(ids.tolist())}
    grain = np.array([place.get(grain, -1) for grain in spot_matrix.integers("GrainID").tolist()])

    def places(y: ArrayLike, z: ArrayLike, omega: ArrayLike, grain: ArrayLike, ring: ArrayLike) -> NDArray[np.float64]:
        across = max(half[:2])
        columns = (
            np.asarray(y) / across, np.asarray(z) / across, np.asarray(omega) / half[2],
            _APART * np.asarray(grain), _APART * np.asarray(ring),
        )  # fmt: skip
        return np.column_stack(columns)

    tree = cKDTree(places(own["y_plane"], own["z_plane"], own["omega_recorded"], grain, own["ring"]))
    wanted = places(measured.y, measured.z, measured.omega, measured.predicted.crystal, measured.predicted.ring)
    distance, nearest = tree.query(wanted, p=np.inf, distance_upper_bound=_SAME_SPOT)
    near = np.isfinite(distance)
    found[near] = spot_matrix.integers("SpotID")[nearest[near]]
    return found


def grains_table(
    grains: Table, setting: PullSetting, parameters: Parameters, measured: Measured, result: Refit, threads: int
) -> Table:
    """The grain list with the refined grains, before rounding; those that were not refined keep their rows.

    Parameters
    ----------
    parameters : of the archive, with the distance for which the spots were corrected
    """
    rows = np.flatnonzero(result.refined)
    counts = np.diff(result.offsets)[rows]
    crystals = result.crystals.take(rows)
    spots = result.spots
    offsets = offsets_of(counts)
    solutions = GrainSolutions(
        ids=grains.integers("GrainID")[rows],
        orientation=crystals.u.reshape(-1, 9),
        position=crystals.position,
        cell=crystals.cell,
        diff_pos=result.errors[rows, 0],
        diff_ome=result.errors[rows, 1],
        diff_angle=result.errors[rows, 2],
        grain_radius=grains["GrainRadius"][rows],
        completeness=grains["Confidence"][rows],
        offsets=offsets,
        spots=np.zeros(len(spots), np.int64),
        y_centred=np.ascontiguousarray(spots["y_centred"]),
        z_centred=np.ascontiguousarray(spots["z_centred"]),
        normals=np.ascontiguousarray(spots["g_observed"]),
        counted=explained(offsets, np.ascontiguousarray(spots["diff_pos"]), setting.detector.px),
        key=GrainIdsKey(np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)),
    )
    unstrained = _spacings(setting.hkls, measured.predicted.ring[spots["row"]])
    strain = strains_of(solutions, unstrained, parameters, parameters["Lsd"], threads)
    columns = {name: grains[name].copy() for name in GRAINS.names}
    for name, values in fitted_columns(solutions, strain).items():
        columns[name][rows] = values
    return Table.from_columns(GRAINS.names, columns)


def _spacings(hkls: Table, rings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lattice spacing of the ring of each spot, that of its first reflection."""
    known, first = np.unique(hkls.integers("ring"), return_index=True)
    spacings: NDArray[np.float64] = hkls["d_spacing"][first][np.searchsorted(known, rings)]
    return spacings
