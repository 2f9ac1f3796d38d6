"""The example of docs/formats.md, which is that of the legacy manual, word for word; and the joins of all spots."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import many_grains
import numpy as np
import pytest

from midas.formats.layer import Layer
from midas.results import consolidated

Array = np.ndarray
DOCS = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
#: of made spots: a frame, and seven standard deviations of where their peaks lie
WITHIN = (many_grains.STEP, 0.35)
LOOP = "                    intensities = cp['integratedintensity'][:]\n"


def example() -> str:
    section = DOCS.read_text(encoding="utf-8").partition("## Consolidated file")[2]
    return section.partition("```python\n")[2].partition("```")[0]


def run_example(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the example has found at its end, and `seen`, what it has seen of every spot."""
    (folder / "output_consolidated.h5").symlink_to(path)
    monkeypatch.chdir(folder)
    code = example()
    assert code.endswith(LOOP)
    found: dict[str, Any] = {"seen": []}
    told = "grain_id, spot['spot_id'][()], spot['omega'][()], n_peaks, frame_nrs, intensities"
    exec(code + " " * 20 + f"seen.append(({told}))\n", found)
    return found


@dataclass(frozen=True)
class Flat:
    """What the flat tables of a file say."""

    matrix: Array
    spots: Array
    peaks: Array
    final: Array
    ids: Array
    merged: Array
    radius: dict[str, Array]

    @classmethod
    def of(cls, path: Path) -> Flat:
        with h5py.File(path) as h5:
            tables = ("spot_matrix/data", "all_spots/data", "constituent_peaks/data", "constituent_peaks/final_spot_id")
            columns = {name: column[:] for name, column in h5["radius_data"].items()}
            ids, merged = h5["id_rings/data"][:].astype(int), h5["peaks/summary/data"][:]
            return cls(*(h5[name][:] for name in tables), ids, merged, columns)

    def radius_rows(self, within: tuple[float, float]) -> Array:
        """Radius row of every row of the spot matrix: it has the same ring, the same place, the same angle."""
        degrees, pixels = within
        row_of = np.full(len(self.spots) + 1, -1)
        row_of[self.ids[:, 2]] = self.ids[:, 1] - 1
        spot_ids = self.matrix[:, 1].astype(int)
        rows = row_of[spot_ids]
        assert (rows >= 0).all()
        mine = {name: column[rows] for name, column in self.radius.items()}
        np.testing.assert_array_equal(mine["RingNr"], self.matrix[:, 7])
        np.testing.assert_array_equal(self.spots[spot_ids - 1, 5], self.matrix[:, 7])
        recorded = self.matrix[:, 5]  # without what the wedge does to omega
        assert (mine["MinOme"] - degrees <= recorded).all() and (recorded <= mine["MaxOme"] + degrees).all()
        np.testing.assert_allclose(mine["YCen"], self.matrix[:, 3], atol=pixels)
        np.testing.assert_allclose(mine["ZCen"], self.matrix[:, 4], atol=pixels)
        return rows

    def merged_ids(self, rows: Array) -> list[int]:
        """Merged spots of radius rows, by their places."""
        by_place = {(y, z, omega): int(i) for i, omega, y, z in self.merged[:, [0, 2, 3, 4]].tolist()}
        places = np.stack([self.radius[name][rows] for name in ("YCen", "ZCen", "Omega")], axis=1).tolist()
        return [by_place[tuple(place)] for place in places]

    def peaks_of(self) -> dict[int, tuple[Array, int]]:
        """Peaks of each merged spot, and the spot that they became."""
        starts = np.flatnonzero(np.diff(self.peaks[:, 0], prepend=-1))
        parts = np.split(self.peaks, starts[1:])
        assert (np.repeat(self.final[starts], [len(part) for part in parts]) == self.final).all()
        return {int(p[0, 0]): (p, int(i)) for p, i in zip(parts, self.final[starts], strict=True)}


def check(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, within: tuple[float, float]) -> int:
    """The example sees every spot of every grain once, with the peaks that the flat tables say; the number of spots.

    Parameters
    ----------
    within : degrees and pixels by which a spot may lie beside its peaks
    """
    found, flat = run_example(path, folder, monkeypatch), Flat.of(path)
    assert found["col_names"][:2] == ["GrainID", "O11"] and found["grains_summary"].shape[1] == 47
    seen = {(grain, spot): rest for grain, spot, *rest in found["seen"]}
    expected = [(int(row[0]), int(row[1])) for row in flat.matrix]
    assert seen.keys() == set(expected) and len(found["seen"]) == len(expected)
    rows, peaks, radius = flat.radius_rows(within), flat.peaks_of(), flat.radius
    for key, line, row, merged_id in zip(expected, flat.matrix, rows, flat.merged_ids(rows), strict=True):
        own, final = peaks[merged_id]
        omega, count, frames, intensities = seen[key]
        assert omega == line[2] and final <= key[1]
        assert count == len(own) == len(frames) == radius["NImgs"][row]
        np.testing.assert_array_equal(frames, own[:, 1])
        np.testing.assert_array_equal(intensities, own[:, 4])
        assert radius["MinOme"][row] - 1e-6 <= own[:, 5].min() and own[:, 5].max() <= radius["MaxOme"][row] + 1e-6
        for column, name in ((6, "YCen"), (7, "ZCen")):
            assert abs(np.average(own[:, column], weights=own[:, 4]) - radius[name][row]) < within[1]
        assert abs(own[:, 4].sum() / radius["IntegratedIntensity"][row] - 1) < 1e-4
    return len(seen)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "spots"), [("au3", 340), pytest.param("ds1", 5706, marks=pytest.mark.long), ("ds2", 1507)]
)
def test_example_on_legacy_results(
    name: str, spots: int, golden: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    for path in golden(name).iterdir():
        if not path.name.endswith("consolidated.h5"):
            (layer / path.name).symlink_to(path)
    path = consolidated.write(Layer(layer, layer / f"{name}.MIDAS.zip"))
    assert check(path, tmp_path, monkeypatch, (0.1, 2e-5)) == spots


def test_example_on_some_grains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = many_grains.write(tmp_path / "layer", 12)
    assert check(consolidated.write(made.layer), tmp_path, monkeypatch, WITHIN) > 12 * 40


@pytest.mark.long
@pytest.mark.parametrize(
    "grains",
    [
        500,
        pytest.param(
            5000,
            marks=pytest.mark.skipif("MIDAS_PATIENT" not in os.environ, reason="nine minutes; MIDAS_PATIENT=1 runs it"),
        ),
    ],
)
def test_example_on_many_grains(grains: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Almost all of the time is h5py's, in the loop."""
    made = many_grains.write(tmp_path / "layer", grains)
    assert check(consolidated.write(made.layer), tmp_path, monkeypatch, WITHIN) > grains * 40
