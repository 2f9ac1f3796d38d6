"""Reflections of grains, and what was seen of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import many_grains
import numpy as np
import pytest
from numpy.lib.recfunctions import structured_to_unstructured

from midas.archive import Archive
from midas.experiment import DetectorGeometry, reciprocal_basis
from midas.experiment.angles import wrapped
from midas.experiment.layer_view import layer_view
from midas.experiment.panels import panels_of, recorded_pixels, true_pixels
from midas.formats import hkls as hkls_format
from midas.formats.grains import SPOT_MATRIX
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.results.columns import dtype_of
from midas.results.evidence import MISSING, OBSERVED, OUTSIDE, PREDICTED_FIELDS, SHARED, Predictor, predicted_spots
from midas.results.reading import Results, read_results
from midas.runtime.errors import FormatError, StageError


def test_every_spot_of_a_grain_is_one_of_its_reflections(results: Results) -> None:
    every = Predictor.of(results).every()
    assert len(every.unmatched) == 0
    for row, grain in enumerate(results):
        spots = every.of(row)
        own = spots[spots["counted"]]
        assert sorted(own["spot_id"].tolist()) == sorted(grain.spots["spot_id"].tolist())
        assert set(spots["grain_id"].tolist()) == {grain.id}
        by_id = {int(spot["spot_id"]): spot for spot in grain.spots}
        for one in own:
            assert one["ring"] == by_id[int(one["spot_id"])]["ring"]
            assert one["y_observed"] == by_id[int(one["spot_id"])]["y_recorded"]


def test_residuals_are_those_of_a_good_fit(results: Results) -> None:
    own = Predictor.of(results).every().spots
    own = own[own["counted"]]
    assert np.median(np.hypot(own["d_y"], own["d_z"])) < 0.05
    assert np.abs(own["d_omega"]).max() < 1.0
    assert np.allclose(own["d_y"], own["y_observed"] - own["y"])
    px = results.parameters["px"]
    # Without tilts a shift on the detector is one of the same length on the plane.
    assert np.allclose(
        np.hypot(own["d_radial"], own["d_arc"]), px * np.hypot(own["d_y"], own["d_z"]), rtol=1e-3, atol=1
    )


def test_expected_spots_are_those_that_completeness_counts(results: Results) -> None:
    every = Predictor.of(results).every()
    quality = results.quality
    assert quality is not None
    for row in range(len(results)):
        spots = every.of(row)
        assert spots["expected"].sum() == quality["nPredicted"][row]
        assert spots["counted"].sum() == quality["nOwned"][row] + quality["nShared"][row]
        assert ((spots["state"] == OUTSIDE) == ~(spots["expected"] | spots["counted"])).all()


def test_a_grain_alone_and_by_its_id(results: Results) -> None:
    every = Predictor.of(results).every(threads=2)
    for row, grain in enumerate(results):
        for found in (predicted_spots(results, grain), predicted_spots(results, grain.id)):
            assert found.tobytes() == every.of(row).tobytes()


def test_what_lacks_is_missing_and_what_others_have_is_shared(layer_folder: Path, tmp_path: Path) -> None:
    """A spot that is nobody's, one that is in no table, and one in the lists of two grains."""
    layer = Layer(tmp_path / "copy", tmp_path / "copy" / next(layer_folder.glob("*.MIDAS.zip")).name)
    shutil.copytree(layer_folder, layer.folder, symlinks=True)
    matrix, extra = SPOT_MATRIX.read(layer.spot_matrix), layer.extra_info.read_text().splitlines()
    grain, ids = matrix.integers("GrainID"), matrix.integers("SpotID")
    own = np.flatnonzero(grain == grain[0])
    nobodys, gone, twice = own[[1, 3, 5]]
    other = int(grain[grain != grain[0]][0])
    keep = np.setdiff1d(np.arange(len(matrix)), [nobodys, gone])
    extra[ids[gone]] = "0 0 0 0 " + str(ids[gone]) + " 0" * 11
    layer.extra_info.write_text("\n".join(extra) + "\n")
    columns = matrix.columns[:, keep]
    double = matrix.columns[:, [twice]].copy()
    double[0] = other
    at = int(np.flatnonzero(columns[0] == other)[-1]) + 1
    columns = np.concatenate([columns[:, :at], double, columns[:, at:]], axis=1)
    SPOT_MATRIX.write(layer.spot_matrix, type(matrix)(matrix.names, columns))
    before = predicted_spots(read_results(layer_folder), int(grain[0]))
    after = predicted_spots(read_results(layer.folder), int(grain[0]))

    def state(spot: int) -> tuple[int, int, int, bool]:
        place = np.flatnonzero(before["spot_id"] == ids[spot])[0]
        return tuple(after[name][place].item() for name in ("state", "spot_id", "other_grain", "counted"))

    assert state(nobodys) == (SHARED, ids[nobodys], -1, False)
    assert state(gone) == (MISSING, -1, -1, False)
    assert state(twice) == (SHARED, ids[twice], other, True)
    assert (after["state"] == OBSERVED).sum() == (before["state"] == OBSERVED).sum() - 3


def test_predictions_agree_with_the_public_geometry(results: Results) -> None:
    """Tilts, distortion, wedge and displaced panels; the panels are undone by an independent search."""
    layer = results.layer
    assert layer is not None
    changed = {"ty": 0.3, "tz": -0.2, "tx": 0.1, "p0": 1e-4, "p1": 2e-4, "p2": -1e-4, "Wedge": 0.4, "tGap": 0.0}
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 120, "PanelSizeZ": 256, "PanelGapsY": (16,)}
    with Archive(layer.archive) as archive:
        parameters = archive.parameters.changed(**changed, **panels).for_stage("evidence")
    of_setup = Parameters.read(layer.paramstest, "paramstest")
    of_setup = Parameters(dict(of_setup.as_given()) | {k: v for k, v in changed.items() if k[0] in "tW"})
    hkls = hkls_format.LAYOUT.read(layer.hkls)
    view = layer_view(layer, parameters, of_setup.for_stage("evidence"), hkls)
    moved = view.panels.copy()
    moved[:, 4:] = [(np.cos(0.002), np.sin(0.002), 0.7, -0.4), (1.0, 0.0, -0.3, 0.6)]
    predictor = Predictor(results, type(view)(**{**vars(view), "panels": moved}), 1.0, (500.0, 1.0))
    found = predictor.grain(1)
    grain = results.grains[1]
    detector = DetectorGeometry.from_parameters(Parameters(archive_values(layer) | changed))
    hkl = structured_to_unstructured(found[["h", "k", "l"]]).astype(float)
    spots = detector.spots(grain["orientation"] @ reciprocal_basis(grain["cell"].tolist()), hkl, grain["position"])
    branch = np.argmin(np.abs(wrapped(spots.omega - found["omega"][:, None])), axis=1)
    rows = np.arange(len(found))
    assert np.abs(wrapped(spots.omega[rows, branch] - found["omega"])).max() < 1e-6
    y, z = true_pixels(moved, np.ascontiguousarray(found["y"]), np.ascontiguousarray(found["z"]))
    on_panel = np.hypot(y - found["y"], z - found["z"]) > 0
    assert on_panel.mean() > 0.5
    off = np.hypot(y - spots.y_px[rows, branch], z - spots.z_px[rows, branch])
    assert off[on_panel].max() < 1e-6


def archive_values(layer: Layer) -> dict[str, object]:
    with Archive(layer.archive) as archive:
        return archive.parameters.as_given()


def test_panels_move_pixels_there_and_back() -> None:
    parameters = Parameters.parse("NPanelsY 2\nNPanelsZ 2\nPanelSizeY 50\nPanelSizeZ 40\nPanelGapsY 4\nPanelGapsZ 6\n")
    panels = panels_of(parameters, Path())
    turn = np.radians([0.2, -0.1, 0.3, 0.0])
    panels[:, 4], panels[:, 5] = np.cos(turn), np.sin(turn)
    panels[:, 6:] = [(0.4, 0.1), (-0.3, 0.2), (0.0, -0.5), (0.6, 0.6)]
    y, z = (axis.ravel() for axis in np.meshgrid(np.arange(2, 48.0), np.arange(2, 38.0)))
    for dy, dz in ((0, 0), (54, 0), (0, 46), (54, 46)):
        there = true_pixels(panels, y + dy, z + dz)
        back = recorded_pixels(panels, *there)
        assert np.allclose(back, (y + dy, z + dz), atol=1e-9)
        assert not np.allclose(there[0], y + dy)
    gap = np.array([51.5]), np.array([10.0])
    assert true_pixels(panels, *gap) == gap


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_layers_of_the_legacy_programs(golden: Callable[[str], Path], name: str) -> None:
    """Their grains list the spots of their reflections, and the completeness is that of the list."""
    results = read_results(golden(name))
    every = Predictor.of(results).every()
    own = every.spots[every.spots["counted"]]
    assert len(every.unmatched) <= 0.001 * len(results.spots)
    assert np.median(np.hypot(own["d_y"], own["d_z"])) < 0.2
    found = [spots["counted"].sum() / spots["expected"].sum() for spots in map(every.of, range(len(results)))]
    # The legacy completeness is that of the search, before the grain was refined.
    off = np.abs(found - results.grains["completeness"])
    assert np.median(off) == 0 and off.max() < 0.1


@pytest.mark.parametrize("name", ["paramstest", "hkls"])
def test_what_is_missing_is_named(layer_folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True)
    results = read_results(tmp_path / "copy")
    path = getattr(Layer(tmp_path / "copy"), name)
    path.unlink()
    with pytest.raises(FormatError, match=path.name):
        predicted_spots(results, int(results.grains["grain_id"][0]))


def test_an_hdf5_file_alone_says_nothing_of_the_detector(layer_folder: Path, tmp_path: Path) -> None:
    path = shutil.copy(next(layer_folder.glob("*_consolidated.h5")), tmp_path)
    results = read_results(path)
    with pytest.raises(StageError, match="is no layer folder"):
        predicted_spots(results, int(results.grains["grain_id"][0]))


def test_many_grains_in_one_go(tmp_path: Path) -> None:
    """More than are predicted together; the layer's own spots are all found."""
    results = read_results(many_grains.write(tmp_path / "many", 600).layer.folder)
    every = Predictor.of(results).every()
    assert len(every.unmatched) == 0
    assert every.spots["counted"].sum() == len(results.spots)
    assert len(every.starts) == 601 and every.starts[-1] == len(every.spots)
    assert every.of(577).tobytes() == predicted_spots(results, results.grains["grain_id"][577]).tobytes()
    # Spots that were left out when the layer was made are missing, unless those of others lie there.
    left_out = every.spots["expected"] & ~every.spots["counted"]
    assert left_out.any() and set(every.spots["state"][left_out].tolist()) <= {MISSING, SHARED}
    assert (every.spots["state"][left_out] == MISSING).mean() > 0.5


def test_without_the_archive_the_detector_is_that_of_paramstest(layer_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True))
    expected = Predictor.of(read_results(folder)).every().spots
    next(folder.glob("*.MIDAS.zip")).unlink()
    found = Predictor.of(read_results(folder)).every().spots
    for name in ("spot_id", "y", "z", "omega", "d_y", "state"):
        assert np.allclose(found[name], expected[name], atol=1e-6, equal_nan=True)


def test_no_grains(tmp_path: Path) -> None:
    results = read_results(many_grains.write(tmp_path / "none", 0).layer.folder)
    every = Predictor.of(results).every()
    assert len(every.spots) == len(every.unmatched) == 0 and every.starts.tolist() == [0]
    assert every.spots.dtype == dtype_of(PREDICTED_FIELDS)
