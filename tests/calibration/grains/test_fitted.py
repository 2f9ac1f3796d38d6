"""Which spots a grain was fitted to: owned, listed, measured, or fragments as one (docs/theory/uncertainty.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noisy_grains import NoisyLayer

from midas.calibration.grains.fitted import SEVERAL, SINGLE, UNKNOWN, FittedSpots, GrainTables, fitted_spots
from midas.calibration.grains.layer import settings_of
from midas.calibration.grains.sigma import run
from midas.formats.measured import FEWEST_SPOTS, SPOTS_MEASURED
from midas.formats.resolved import SPOT_OWNERS
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table, concatenate


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> NoisyLayer:
    return NoisyLayer(tmp_path_factory.mktemp("fitted"), grains=4, seed=6, outliers=0.0)


def spots_of(layer: NoisyLayer, tables: GrainTables, *, guided: bool = False, combined: bool = False) -> FittedSpots:
    detector = settings_of(layer.layer, layer.parameters(), False).detector
    return fitted_spots(layer.layer, tables, detector, guided=guided, combined=combined)


@pytest.fixture(scope="module")
def spots(layer: NoisyLayer) -> FittedSpots:
    return spots_of(layer, layer.tables())


def owners_of(layer: NoisyLayer, spots: FittedSpots, ids: np.ndarray, rows: np.ndarray, n: int) -> Table:
    """`SpotOwners.csv` of n spots, of which `ids` have the reflections `rows`."""
    columns: dict[str, np.ndarray] = {name: np.zeros(n) for name in SPOT_OWNERS.names}
    columns["SpotID"] = np.arange(1.0, n + 1)
    columns["GrainID"][ids - 1] = layer.found["GrainID"][spots.grain[rows]]
    columns["Branch"][ids - 1] = spots.branch[rows]
    for k, name in enumerate("hkl"):
        columns[name][ids - 1] = spots.hkl[rows, k]
    return Table.from_columns(SPOT_OWNERS.names, columns)


def test_reflections_are_those_of_the_spots(layer: NoisyLayer, spots: FittedSpots) -> None:
    rings = {(h * h + k * k + m * m): ring for h, k, m, ring in layer.hkls.numbers(("h", "k", "l", "ring")).tolist()}
    assert [rings[one] for one in (spots.hkl**2).sum(axis=1)] == spots.ring.tolist()
    assert (spots.branch == np.sign(spots.y)).mean() > 0.98  # but for grains beside the axis
    assert spots.ids.tolist() == list(range(1, len(layer.spots) + 1))
    assert set(spots.kind.tolist()) == {SINGLE, SEVERAL}
    assert set(spots_of(layer, replace(layer.tables(), frames=None)).kind.tolist()) == {UNKNOWN}


def test_a_grain_keeps_what_it_owns(layer: NoisyLayer, spots: FittedSpots) -> None:
    tables, n = layer.tables(), len(layer.spots)
    ids = np.arange(1, n + 1)
    lost = ids % 7 == 0
    owners = owners_of(layer, spots, ids, ids - 1, n)
    owners["GrainID"][lost] = 0
    owned = spots_of(layer, replace(tables, spot_owners=owners))
    assert owned.ids.tolist() == ids[~lost].tolist()
    assert (owned.hkl == spots.hkl[~lost]).all()
    # Of a run with seed grains all that are listed count.
    assert len(spots_of(layer, replace(tables, spot_owners=owners), guided=True)) == n


def test_fragments_are_one_spot(layer: NoisyLayer, spots: FittedSpots) -> None:
    """Every other spot broken into two of unlike intensity, on a ring and in omega."""
    tables, n = layer.tables(), len(layer.spots)
    broken = np.arange(0, n, 2)
    table, piece = layer.spots.take(slice(None)), layer.spots.take(broken)
    table.columns = table.columns.copy()
    piece["spot_id"][:] = np.arange(n + 1.0, n + 1 + len(broken))
    for part, rows, share in ((table, broken, 3.0), (piece, np.arange(len(broken)), 1.0)):
        weight = 0.25 if share == 3.0 else -0.75
        angle = np.radians(0.4 * weight)
        y, z = part["y_plane"][rows].copy(), part["z_plane"][rows].copy()
        part["y_plane"][rows] = y * np.cos(angle) - z * np.sin(angle)
        part["z_plane"][rows] = z * np.cos(angle) + y * np.sin(angle)
        part["omega_recorded"][rows] += 0.3 * weight
        part["intensity"][rows] = share
    everything = concatenate([table, piece])
    matrix = tables.spot_matrix.take(broken)
    matrix["SpotID"][:] = piece["spot_id"]
    joined = concatenate([tables.spot_matrix, matrix])
    joined = joined.take(np.argsort(joined["GrainID"], kind="stable"))
    ids = np.arange(1, n + len(broken) + 1)
    owners = owners_of(layer, spots, ids, np.append(np.arange(n), broken), len(ids))
    frames = np.append(layer.frames, layer.frames[broken])
    again = replace(tables, extra_info=everything, spot_matrix=joined, spot_owners=owners, frames=frames)
    found = spots_of(layer, again, combined=True)
    assert np.diff(found.offsets).tolist() == np.diff(spots.offsets).tolist()
    order = np.argsort(found.ids)
    assert found.ids[order].tolist() == spots.ids.tolist()
    for name, atol in (("y", 1e-6), ("z", 1e-6)):
        np.testing.assert_allclose(getattr(found, name)[order], getattr(spots, name), atol=atol)
    turn = (found.omega[order] - spots.omega + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-9)
    assert (found.kind[order][broken] == SEVERAL).all()
    assert (found.kind[order][1::2] == spots.kind[1::2]).all()


def test_measured_spots_stand_for_peaks(layer: NoisyLayer, spots: FittedSpots) -> None:
    """Grain 0 has measured spots, grain 1 too few of them, the others have none."""
    tables, names = layer.tables(), SPOTS_MEASURED.names
    chosen = np.concatenate(
        [np.flatnonzero(spots.grain == 0)[::3], np.flatnonzero(spots.grain == 1)[: FEWEST_SPOTS - 1]]
    )
    columns: dict[str, np.ndarray] = dict.fromkeys(names, np.zeros(len(chosen)))
    columns |= {"GrainID": layer.found["GrainID"][spots.grain[chosen]], "Branch": spots.branch[chosen]}
    columns |= {name: spots.hkl[chosen, k] for k, name in enumerate("hkl")}
    columns |= {"RingNr": spots.ring[chosen], "YLab": spots.y[chosen] + 1, "ZLab": spots.z[chosen]}
    columns |= {"Omega": spots.omega[chosen], "nFrames": np.full(len(chosen), 2.0)}
    found = spots_of(layer, replace(tables, spots_measured=Table.from_columns(names, columns)))
    own = chosen[spots.grain[chosen] == 0]
    assert found.offsets[1] == len(own)
    np.testing.assert_allclose(found.y[: len(own)], spots.y[own] + 1)
    assert (found.hkl[: len(own)] == spots.hkl[own]).all()
    assert (found.kind[: len(own)] == SEVERAL).all()
    rest = spots.grain > 0
    assert (found.y[len(own) :] == spots.y[rest]).all() and (found.ids[len(own) :] == spots.ids[rest]).all()


def test_saturated_spots_count_for_little(layer: NoisyLayer, tmp_path: Path) -> None:
    """Spots without a fit have a tenth of the weight, and say nothing of the noise of others."""
    for name in ("paramstest.txt", "Grains.csv", "SpotMatrix.csv", "InputAllExtraInfoFittingAll.csv"):
        (tmp_path / name).write_bytes((layer.folder / name).read_bytes())
    folder = replace(layer.layer, folder=tmp_path, folder_text="")
    before = run(folder, layer.parameters(), tables=layer.tables()).data.sigmas
    ids = np.arange(1.0, len(layer.spots) + 1, 2)
    flags = {name: np.ones(len(ids)) for name in SPOT_FLAGS.names} | {"spot_id": ids}
    SPOT_FLAGS.write(folder.spot_flags, Table.from_columns(SPOT_FLAGS.names, flags))
    after = run(folder, layer.parameters(), tables=layer.tables()).data.sigmas
    assert sum(one.count for one in after.radial) == len(layer.spots) - len(ids)
    assert (after["sX"] > before["sX"]).all()
