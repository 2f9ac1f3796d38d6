"""`midas.simulation` against the legacy simulator's tables and frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from midas import simulation
from midas.archive import Archive
from midas.formats.simulated import SPOT_MATRIX_GEN
from midas.formats.table import Table


def golden_run(source: Path, folder: Path, *lines: str, image: bool = False) -> simulation.Simulation:
    shutil.copy(source / "GrainsSim.csv", folder)
    text = (source / "Parameters.txt").read_text()
    (folder / "ps.txt").write_text("\n".join([text, "WedgeModel legacy", *lines, f"WriteImage {int(image)}", ""]))
    return simulation.run(folder / "ps.txt", threads=2, folder=folder).data


def misplaced_by_the_legacy_solver(rows: Table, wedge: float) -> np.ndarray:
    """Rows whose Omega - OmeRaw is not the wedge shift of docs/theory/wedge.md#change-of-omega."""
    theta, eta, w = np.radians(rows["Theta"]), np.radians(rows["Eta"]), np.radians(wedge)
    k = np.array([-np.sin(theta), -np.cos(theta) * np.sin(eta), np.cos(theta) * np.cos(eta)])
    x, y = k[0] * np.cos(w) + k[2] * np.sin(w), k[1]
    with np.errstate(invalid="ignore"):
        bragg = np.arccos(-np.sin(theta) / np.hypot(x, y))
    turns = np.degrees(np.array([bragg, -bragg]) - np.arctan2(y, x))
    turns = (turns + 180) % 360 - 180
    shift = np.where(np.isnan(bragg), 0.0, turns[np.abs(turns).argmin(axis=0), np.arange(len(theta))])
    return np.abs(rows["OmeRaw"] - shift - rows["Omega"]) > 1e-4


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "wedge", "misplaced", "rows"), [("au3", 0, 2, 348), ("ds1", 0, 25, 5770), ("ds2", 0.1, 0, 1519)]
)
def test_spots_equal_the_legacy_ones(
    golden, tmp_path: Path, name: str, wedge: float, misplaced: int, rows: int
) -> None:
    spots = golden_run(golden(name), tmp_path, "LegacyDistortionMap 1").spots
    legacy = SPOT_MATRIX_GEN.read(golden(name) / "SpotMatrixGen.csv")
    wrong = misplaced_by_the_legacy_solver(legacy, wedge)
    assert wrong.sum() == misplaced
    assert len(spots) == rows
    assert not misplaced_by_the_legacy_solver(spots, wedge).any()
    exempt = set(zip(*legacy.take(wrong).columns[:2], strict=True))
    right = legacy.take(~wrong)
    own_keys = list(zip(*spots.columns[:2], strict=True))
    keys = list(zip(*right.columns[:2], strict=True))
    # What only one side has are spots that the legacy program put elsewhere: into the scan, or out of it.
    assert set(keys) <= set(own_keys)
    missing = set(own_keys) - set(keys)
    assert len(missing - exempt) <= misplaced
    kept = spots.take(np.array([key not in missing for key in own_keys]))
    for column in SPOT_MATRIX_GEN.columns:
        unit = 1.01e-6 if column.decimals > 0 else 0
        np.testing.assert_allclose(kept[column.name], right[column.name], rtol=0, atol=unit, err_msg=column.name)
    for file in ("hkls.csv", "GrainsGen.csv"):
        assert (tmp_path / file).read_bytes() == (golden(name) / file).read_bytes()


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "brightest", "non_zero", "share"),
    [
        ("ds1", 9608.6445, 322220, 1e-3),
        ("ds2", 9085.5488, 85686, 1e-3),
        # Simulated in batches, in which the legacy program keeps coordinates in single precision.
        pytest.param("au3", 9517.1328, 18144, 0.03, marks=pytest.mark.long),
    ],
)
def test_frames_equal_the_legacy_ones(
    golden, tmp_path: Path, name: str, brightest: float, non_zero: int, share: float
) -> None:
    result = golden_run(golden(name), tmp_path, "LegacyDistortionMap 1", image=True)
    assert result.brightest == pytest.approx(brightest, abs=1e-4)
    legacy = SPOT_MATRIX_GEN.read(golden(name) / "SpotMatrixGen.csv")
    columns = ("omeBin", "DetectorHor", "DetectorVert", "GrainID", "SpotID")
    own, theirs = (
        {(int(f), g, s): (round(y), round(z)) for f, y, z, g, s in zip(*(t[c] for c in columns), strict=True)}
        for t in (result.spots, legacy)
    )
    # Spots that one side has in another frame, or not at all: both images are emptied there.
    elsewhere = [(key[0], *place) for key, place in {**own, **theirs}.items() if (key in own) != (key in theirs)]
    differing = counted = 0
    with Archive(result.archive) as mine, Archive(golden(name) / f"{name}.MIDAS.zip") as legacy_archive:
        assert mine.frames.shape == legacy_archive.frames.shape
        for number in {key[0] for key in (*own, *theirs)}:
            a, b = mine.frames[number], legacy_archive.frames[number]
            counted += np.count_nonzero(b)
            if np.array_equal(a, b):
                continue
            a, b = a.astype(np.int32), b.astype(np.int32)
            for y, z in [place for frame, *place in elsewhere if frame == number]:
                window = np.s_[max(z - 4, 0) : z + 5, max(y - 4, 0) : y + 5]
                a[window] = b[window] = 0
            assert np.abs(a - b).max() <= 1
            differing += np.count_nonzero(a != b)
    assert counted == non_zero
    assert differing < share * counted


@pytest.mark.golden
def test_exact_geometry_stays_within_three_thousandths_of_a_pixel_of_the_legacy_one(golden, tmp_path: Path) -> None:
    spots = golden_run(golden("ds2"), tmp_path).spots
    legacy = SPOT_MATRIX_GEN.read(golden("ds2") / "SpotMatrixGen.csv")
    rows = {key: i for i, key in enumerate(zip(*legacy.columns[:2], strict=True))}
    pairs = [(i, rows[key]) for i, key in enumerate(zip(*spots.columns[:2], strict=True)) if key in rows]
    a, b = np.array(pairs).T
    same = np.abs(spots["Omega"][a] - legacy["Omega"][b]) < 0.01
    assert same.sum() > 1500
    for name in ("DetectorHor", "DetectorVert"):
        difference = (spots[name][a] - legacy[name][b])[same]
        assert np.sqrt(np.mean(difference**2)) < 0.003  # the map's cells, and the first-order displacement without lean
