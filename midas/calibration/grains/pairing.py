"""Several layers that see the same grains (docs/theory/geometry_from_grains.md#two-detectors)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.calibration.grains.case import Measurement
from midas.calibration.grains.layers import LayerSpots, named
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.state import strains_of
from midas.experiment import reciprocal_basis
from midas.experiment.orientation import misorientation, quaternions_from_matrices, symmetry_operators
from midas.runtime.errors import StageError

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

#: two grains are a candidate within this misorientation (degrees); angle and distance (µm) that count the same
_FARTHEST, _ANGLE_UNIT, _DISTANCE_UNIT = 1.0, 0.1, 50.0
#: keys that must agree, with the relative difference that printing makes
_SAME, _TOLERANCE = ("Wavelength", "LatticeParameter", "SpaceGroup", "OmegaStep"), 1e-9


def measurement_of(layers: Sequence[LayerSpots]) -> Measurement:
    """The common grains of layers of one sample, with the reflections named after the first layer's.

    Raises
    ------
    StageError : the layers are of different samples or scans, or no grain is in all of them
    """
    first = layers[0]
    for other in layers[1:]:
        _check_same(first, other)
    rows = [np.arange(len(first.ub))]
    rows += [partners_of(first, other) for other in layers[1:]]
    common = np.all([row >= 0 for row in rows], axis=0)
    if not common.any():
        raise StageError("has no grain in common with the first layer", file=layers[-1].layer.folder)
    parts, before = [], 0
    for d, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        parts.append(_spots_of(layer, d, row, common, first, before))
        before += len(layer.panels)
    sentences = []
    for d, layer in enumerate(layers):
        if len(layer.copies):
            names = " ".join(map(str, layer.copies))
            sentences.append(f"left out as copies of other grains: {names}{_where(d, layers)}")
        if len(layers) > 1:
            sentences.append(f"{int(common.sum())} of {len(layer.ub)} grains are common{_where(d, layers)}")
    return Measurement(
        detectors=tuple(layer.detector for layer in layers),
        cell=first.cell,
        ids=np.column_stack([layer.grain_ids[row[common]] for layer, row in zip(layers, rows, strict=True)]),
        ub=first.ub[common],
        positions=first.positions[common],
        volume=first.volume[common],
        spots=Spots.joined(parts),
        tables=tuple(layer.table for layer in layers),
        hkls=tuple(layer.hkl for layer in layers),
        hkl_rings=tuple(layer.hkl_ring for layer in layers),
        panels=tuple(len(layer.panels) for layer in layers),
        step=first.step,
        range=max(layer.range for layer in layers),
        sentences=tuple(sentences),
    )


def _where(d: int, layers: Sequence[LayerSpots]) -> str:
    return f" ({layers[d].layer.folder})" if len(layers) > 1 else ""


def _check_same(first: LayerSpots, other: LayerSpots) -> None:
    for key in _SAME:
        a, b = (np.atleast_1d(np.asarray(layer.parameters[key], np.float64)) for layer in (first, other))
        if a.shape != b.shape or not np.allclose(a, b, rtol=_TOLERANCE, atol=0):
            reason = f"is another one than in {first.layer.folder}: common grains need the same"
            raise StageError(reason, file=other.layer.folder, key=key, value=" ".join(map(str, b)))


def partners_of(first: LayerSpots, other: LayerSpots) -> Whole:
    """Row in `other` of each grain of `first`, -1 where there is none; the nearest pairs first, each grain once."""
    reference = np.array(reciprocal_basis(first.cell))
    operators = symmetry_operators(int(first.parameters["SpaceGroup"]), first.cell.tolist())
    q1, q2 = (quaternions_from_matrices(strains_of(layer.ub, reference)[1]) for layer in (first, other))
    angle = misorientation(q1[:, None], q2[None, :], operators)
    distance = np.linalg.norm(first.positions[:, None] - other.positions[None, :], axis=2)
    cost = hypot(angle / _ANGLE_UNIT, distance / _DISTANCE_UNIT)
    out, taken = np.full(len(q1), -1, np.int64), np.zeros(len(q2), bool)
    for pair in np.argsort(cost, axis=None, kind="stable"):
        i, j = divmod(int(pair), len(q2))
        if out[i] < 0 and not taken[j] and angle[i, j] < _FARTHEST:
            out[i], taken[j] = j, True
    return out


def _spots_of(
    layer: LayerSpots, d: int, row: Whole, common: NDArray[np.bool_], first: LayerSpots, panels: int
) -> Spots:
    """The spots of the common grains of a layer; `panels` are those of the detectors before."""
    place = np.full(len(layer.ub), -1, np.int64)
    place[row[common]] = np.arange(int(common.sum()))
    spots = layer.spots.take(place[layer.spots.grain] >= 0)
    spots = replace(
        spots,
        grain=place[spots.grain],
        detector=np.full(len(spots), d, np.int64),
        panel=np.where(spots.panel >= 0, spots.panel + panels, -1),
    )
    if d == 0:
        return spots
    # The other layer may have another one of the equivalent settings of the crystal.
    return named(spots, layer.detector, first.ub[common], first.positions[common], layer.hkl, layer.hkl_ring)
