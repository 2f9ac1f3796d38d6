"""The grains and spots of a finished layer folder (docs/theory/geometry_from_grains.md#spots)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arccos, hypot
from midas.archive import Archive
from midas.calibration.grains.observed import Spots
from midas.experiment import reciprocal_basis
from midas.experiment.angles import covered
from midas.experiment.detector import DetectorGeometry
from midas.experiment.orientation import nearest_rotations
from midas.experiment.panels import panels_of
from midas.experiment.scan import Scan
from midas.experiment.spot_flags import read_spot_flags
from midas.experiment.vectors import unit
from midas.formats import hkls, radius
from midas.formats.grains import CELL, ORIENTATION, POSITION, SPOT_MATRIX, read_grains
from midas.formats.layer import Layer
from midas.formats.resolved import SPOT_OWNERS
from midas.formats.spots import EXTRA_INFO, ID_RINGS, read_spots
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import ArchiveError, FormatError, StageError
from midas.runtime.named_paths import places_of

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: a spot belongs to a reflection whose direction is within this angle, degrees
_FARTHEST = 1.0
#: spots that a grain needs
FEWEST = 12


@dataclass(frozen=True)
class LayerSpots:
    """A finished layer: its instrument, its grains and their spots.

    Parameters
    ----------
    layer : where it is
    parameters : of its archive
    detector : the instrument that it was analysed with
    cell : (6,) of the unstrained crystal, Å and degrees
    grain_ids : (g,), usable grains
    ub : (g, 3, 3) U·B, 1/Å
    positions : (g, 3) µm
    volume : (g,) of each grain, relative
    spots : those that tell of the geometry; `Spots.grain` counts the usable grains
    table : every spot of the rings in use that has a place, without a grain: `grain` is -1, h k l 0
    hkl : (r, 3) reflections of the rings in use, `hkl_ring` their rings
    hkl_ring : (r,)
    panels : (p, 8) of the detector, see `midas.experiment.panels`; no rows without
    step : of omega, degrees
    range : of omega that is covered by spots, degrees
    copies : ids of grains that are copies of others
    """

    layer: Layer
    parameters: Parameters
    detector: DetectorGeometry
    cell: Array
    grain_ids: Whole
    ub: Array
    positions: Array
    volume: Array
    spots: Spots
    table: Spots
    hkl: Array
    hkl_ring: Whole
    panels: Array
    step: float
    range: float
    copies: Whole


def layer_of(folder: str | os.PathLike[str] | Layer) -> Layer:
    """A finished layer folder with its one archive."""
    if isinstance(folder, Layer):
        return folder
    path = Path(folder)
    if not path.is_dir():
        raise ArchiveError("is no folder; a layer folder of ff-midas is needed", file=path)
    archives = sorted(path.glob("*.MIDAS.zip"))
    if len(archives) != 1:
        names = ", ".join(archive.name for archive in archives)
        raise ArchiveError(f"holds {names}; move all but one of them away" if names else "holds no archive", file=path)
    return Layer(path, archives[0])


def read_layer(
    folder: str | os.PathLike[str] | Layer, min_confidence: float = 0.5, wedge_model: str | None = None
) -> LayerSpots:
    """Everything that a joint fit needs of a layer.

    Parameters
    ----------
    min_confidence : of the grains that are used
    wedge_model : ``exact`` or ``legacy``; by default that of the layer

    Raises
    ------
    StageError : no grain is usable
    MidasError : a table that is missing or unreadable
    """
    layer = layer_of(folder)
    parameters, detector = _instrument(layer, wedge_model)
    grains, matrix = read_grains(layer.grains), SPOT_MATRIX.read(layer.spot_matrix)
    reflections = hkls.LAYOUT.read(layer.hkls)
    hkl, hkl_ring = reflections.numbers(("h", "k", "l")), reflections.integers("ring")
    table, panels = _table(layer, parameters, detector), panels_of(parameters, *places_of(layer.folder))
    table = replace(table, panel=_panels(panels, table.y_px, table.z_px))
    ub, positions, placed = _lattices(grains), grains.numbers(POSITION), _placed(layer, len(table))
    spots, kept, copies = _assigned(layer, grains, matrix, table, placed, min_confidence)
    spots = named(spots, detector, ub, positions, hkl, hkl_ring)
    kept &= np.bincount(spots.grain, minlength=len(grains)) >= FEWEST
    spots = spots.take(kept[spots.grain])
    if not kept.any():
        reason = f"no grain with confidence >= {min_confidence:g} and {FEWEST} spots: nothing to refine from"
        raise StageError(reason, file=layer.folder)
    in_use = np.isin(hkl_ring, spots.ring)
    return LayerSpots(
        layer,
        parameters,
        detector,
        np.array(parameters["LatticeParameter"], np.float64),
        grains.integers("GrainID")[kept],
        ub[kept],
        positions[kept],
        _volumes(grains["GrainRadius"][kept]),
        spots.of_grains(kept).sorted(),
        table.take(np.isin(table.ring, spots.ring) & placed[1:]),
        hkl[in_use],
        hkl_ring[in_use],
        panels,
        abs(float(parameters["OmegaStep"])),
        covered(spots.omega),
        copies,
    )


def _assigned(
    layer: Layer, grains: Table, matrix: Table, table: Spots, placed: Mask, min_confidence: float
) -> tuple[Spots, Mask, Whole]:
    """The assigned spots that tell of the geometry, which grains are usable, and the ids of copies."""
    known = matrix.integers("SpotID")
    if len(known) and not 1 <= known.min() <= known.max() <= len(table):
        raise FormatError("names spots that the layer does not have; run ff-grains again", file=layer.spot_matrix)
    owner = _row_of(grains.integers("GrainID"), matrix.integers("GrainID"), layer)
    kept, copies = _usable(grains, owner, known, min_confidence)
    spots = replace(table.take(known - 1), grain=owner)
    return spots.take(_telling(placed, spots, kept)), kept, copies


def _instrument(layer: Layer, wedge_model: str | None) -> tuple[Parameters, DetectorGeometry]:
    """The parameters of a layer's archive, and the instrument that they describe, or the one with another wedge."""
    with Archive(str(layer.archive)) as archive:
        parameters = archive.parameters.for_stage("geometry")
    detector = DetectorGeometry.from_parameters(parameters)
    if detector.wavelength is None:
        raise parameters.error("Wavelength", "is needed")
    if wedge_model is not None:
        detector = replace(detector, exact_wedge=wedge_model == "exact")
    return parameters, detector


def _lattices(grains: Table) -> Array:
    """(g, 3, 3) U·B of a grain list."""
    b = np.array([reciprocal_basis(cell) for cell in grains.numbers(CELL)]).reshape(-1, 3, 3)
    return np.asarray(nearest_rotations(grains.numbers(ORIENTATION).reshape(-1, 3, 3)) @ b, np.float64)


def _volumes(radius: Array) -> Array:
    """Relative volumes of grains; all alike where no size is known."""
    volume = np.maximum(radius, 0.0) ** 3
    return volume if volume.sum() > 0 else np.ones(len(radius))


def _row_of(ids: Whole, wanted: Whole, layer: Layer) -> Whole:
    """Row of each grain id."""
    order = np.argsort(ids)
    at = order[np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)] if len(ids) else np.zeros_like(wanted)
    if len(wanted) and (not len(ids) or (ids[at] != wanted).any()):
        raise FormatError("names grains that Grains.csv does not have; run ff-grains again", file=layer.spot_matrix)
    return np.asarray(at, np.int64)


def _table(layer: Layer, parameters: Parameters, detector: DetectorGeometry) -> Spots:
    """Every spot of the layer; row i has the id i + 1."""
    extra = read_spots(layer.extra_info, EXTRA_INFO)
    n = len(extra)
    frames = np.full(n, 2, np.int64)
    frames_of_scan = Scan.of(layer, parameters).frames
    sizes = radius.LAYOUT.read(layer.radius(frames_of_scan))
    links = ID_RINGS.read(layer.id_rings)
    spot, row = links.integers("spot_id"), links.integers("radius_id")
    if ((spot < 1) | (spot > n) | (row < 1) | (row > len(sizes))).any():
        reason = f"names ids beyond the {n} spots or {len(sizes)} radius rows of this layer; run ff-setup again"
        raise FormatError(reason, file=layer.id_rings)
    if len(lost := np.setdiff1d(np.arange(1, n + 1), spot)):
        raise FormatError(f"has no line for spot {lost[0]} of this layer; run ff-setup again", file=layer.id_rings)
    frames[spot - 1] = sizes.integers("frames")[row - 1]
    y_px, z_px = extra["y_recorded"], extra["z_recorded"]
    y, z = detector.plane(y_px, z_px)
    length = hypot(y, z)
    length[length == 0] = 1.0
    nothing = np.zeros(n)
    return Spots(
        grain=np.full(n, -1, np.int64),
        spot_id=np.arange(1, n + 1),
        detector=np.zeros(n, np.int64),
        y_px=y_px,
        z_px=z_px,
        omega=extra["omega_detector"],
        ring=extra.integers("ring"),
        frames=frames,
        h=nothing,
        k=nothing,
        l=nothing,
        branch=nothing,
        radial_y=y / length,
        radial_z=z / length,
        panel=np.full(n, -1, np.int64),
    )


def _panels(panels: Array, y_px: Array, z_px: Array) -> Whole:
    """Number of the panel on which each pixel is; -1 in a gap."""
    out = np.full(len(y_px), -1, np.int64)
    for number, (y_first, y_last, z_first, z_last, _, _, dy, dz) in enumerate(panels):
        inside = (y_first - 0.5 <= y_px - dy) & (y_px - dy < y_last + 0.5)
        out[inside & (z_first - 0.5 <= z_px - dz) & (z_px - dz < z_last + 0.5)] = number
    return out


def _usable(grains: Table, owner: Whole, spots: Whole, min_confidence: float) -> tuple[Mask, Whole]:
    """Which grains are good enough and no copies, and the ids of the copies.

    A grain that shares more than half of its spots with a better one is a copy of it.
    """
    kept = grains["Confidence"] >= min_confidence
    ids, copies = grains.integers("GrainID"), []
    taken: dict[int, list[int]] = {}
    for g in np.lexsort((ids, grains["DiffAngle"], -grains["Confidence"])):
        own = spots[owner == g].tolist() if kept[g] else []
        others = np.bincount([h for spot in own for h in taken.get(spot, [])], minlength=1)
        if len(own) and others.max() > 0.5 * len(own):
            kept[g] = False
            copies.append(int(ids[g]))
            continue
        for spot in own:
            taken.setdefault(spot, []).append(int(g))
    return kept, np.array(copies, np.int64)


def _telling(placed: Mask, spots: Spots, kept: Mask) -> Mask:
    """Spots of one usable grain only, whose places are known (`placed`, by spot id)."""
    telling = kept[spots.grain].copy()
    claims = np.bincount(spots.spot_id[telling], minlength=len(placed))
    return np.asarray(telling & (claims[spots.spot_id] == 1) & placed[spots.spot_id], np.bool_)


def _placed(layer: Layer, total: int) -> Mask:
    """Whether each spot, by its id, has a place that is its own.

    A saturated spot whose flanks have been fitted has a place; one that is the centroid of its region has not. A spot
    that two grains share has none of its own.
    """
    placed = np.ones(total + 1, bool)
    placed[1:] = ~read_spot_flags(layer, total).unfitted
    if layer.spot_owners.exists():
        owners = SPOT_OWNERS.read(layer.spot_owners)
        ids = np.clip(owners.integers("SpotID"), 0, total)
        placed[ids[owners.integers("Shared") == 1]] = False
    return placed


def named(spots: Spots, detector: DetectorGeometry, ub: Array, positions: Array, hkl: Array, rings: Whole) -> Spots:
    """The spots with their reflections; without those that are near none, or one of several pieces of a spot."""
    place = positions[spots.grain]
    seen = unit(detector.g_vectors(spots.y_px, spots.z_px, spots.omega, place))
    named, angle = np.zeros((len(spots), 3)), np.full(len(spots), np.inf)
    for ring in np.unique(spots.ring):
        listed, rows = hkl[rings == ring], np.flatnonzero(spots.ring == ring)
        for g in np.unique(spots.grain[rows]) if len(listed) else ():
            own = rows[spots.grain[rows] == g]
            cosine = seen[own] @ unit(listed @ ub[g].T).T
            best = cosine.argmax(axis=1)
            named[own] = listed[best]
            angle[own] = np.degrees(arccos(np.clip(cosine[np.arange(len(own)), best], -1, 1)))
    y, _ = detector.centred(*detector.plane(spots.y_px, spots.z_px), spots.omega, place)
    h, k, l = named.T  # noqa: E741
    spots = replace(spots, h=h, k=k, l=l, branch=np.where(y > 0, 1.0, -1.0))
    spots = spots.take(angle < _FARTHEST)
    keys = np.column_stack([spots.grain, spots.h, spots.k, spots.l, spots.branch])
    _, group, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return spots.take(count[group.ravel()] == 1)
