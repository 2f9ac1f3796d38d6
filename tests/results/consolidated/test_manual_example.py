"""The example of docs/formats.md, which is that of the legacy manual, word for word; and the joins of all spots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import many_grains
import numpy as np
import pytest

from midas.formats.layer import Layer
from midas.results import consolidated

DOCS = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
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


def check(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, within: tuple[float, float]) -> int:
    """The example sees every spot of every grain once, with the peaks that the flat tables say; the number of spots.

    Parameters
    ----------
    within : degrees and pixels by which a spot may lie beside its peaks
    """
    degrees, pixels = within
    found = run_example(path, folder, monkeypatch)
    with h5py.File(path) as h5:
        matrix, spots = h5["spot_matrix/data"][:], h5["all_spots/data"][:]
        data, final = h5["constituent_peaks/data"][:], h5["constituent_peaks/final_spot_id"][:]
        ids, radius = h5["id_rings/data"][:].astype(int), {n: c[:] for n, c in h5["radius_data"].items()}
        merged = h5["peaks/summary/data"][:]
        assert found["lsd"] == h5["parameters/Distance"][()]
        np.testing.assert_array_equal(found["grains_summary"], h5["grains/summary"][:])
    assert found["col_names"][:2] == ["GrainID", "O11"] and len(found["col_names"]) == 47
    seen = {(grain, spot): rest for grain, spot, *rest in found["seen"]}
    expected = {(int(row[0]), int(row[1])): row for row in matrix}
    assert seen.keys() == expected.keys() and len(found["seen"]) == len(expected)

    # From spot to radius row, and from there to the merged spot: the same ring, the same place, the same angle
    row_of = np.full(len(spots) + 1, -1)
    row_of[ids[:, 2]] = ids[:, 1] - 1
    spot_ids = matrix[:, 1].astype(int)
    rows = row_of[spot_ids]
    assert (rows >= 0).all()
    np.testing.assert_array_equal(radius["RingNr"][rows], matrix[:, 7])
    np.testing.assert_array_equal(spots[spot_ids - 1, 5], matrix[:, 7])
    recorded = matrix[:, 5]  # without what the wedge does to omega
    assert (radius["MinOme"][rows] - degrees <= recorded).all() and (recorded <= radius["MaxOme"][rows] + degrees).all()
    np.testing.assert_allclose(radius["YCen"][rows], matrix[:, 3], atol=pixels)
    np.testing.assert_allclose(radius["ZCen"][rows], matrix[:, 4], atol=pixels)
    by_place = {(y, z, omega): int(i) for i, omega, y, z in merged[:, [0, 2, 3, 4]].tolist()}
    place = np.stack([radius[name] for name in ("YCen", "ZCen", "Omega")], axis=1)

    starts = np.flatnonzero(np.diff(data[:, 0], prepend=-1))
    peaks = {int(part[0, 0]): part for part in np.split(data, starts[1:])}
    spot_of = dict(zip(data[starts, 0].astype(int).tolist(), final[starts].tolist(), strict=True))
    assert len(peaks) == len(starts) and (np.repeat(final[starts], np.diff([*starts, len(data)])) == final).all()
    for (grain, spot), row in zip(expected, rows.tolist(), strict=True):
        merged_id = by_place[tuple(place[row].tolist())]
        own = peaks[merged_id]
        omega, count, frames, intensities = seen[grain, spot]
        assert omega == expected[grain, spot][2]
        assert count == len(own) == len(frames) == radius["NImgs"][row]
        np.testing.assert_array_equal(frames, own[:, 1])
        np.testing.assert_array_equal(intensities, own[:, 4])
        assert radius["MinOme"][row] - 1e-6 <= own[:, 5].min() and own[:, 5].max() <= radius["MaxOme"][row] + 1e-6
        for column, name in ((6, "YCen"), (7, "ZCen")):
            assert abs(np.average(own[:, column], weights=own[:, 4]) - radius[name][row]) < pixels
        assert abs(own[:, 4].sum() / radius["IntegratedIntensity"][row] - 1) < 1e-4
        assert spot_of[merged_id] <= spot
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
    assert check(consolidated.write(made.layer), tmp_path, monkeypatch, (many_grains.STEP, 0.2)) > 12 * 40


@pytest.mark.long
def test_example_on_thousands_of_grains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = many_grains.write(tmp_path / "layer", 5000)
    assert check(consolidated.write(made.layer), tmp_path, monkeypatch, (many_grains.STEP, 0.2)) > 5000 * 40
