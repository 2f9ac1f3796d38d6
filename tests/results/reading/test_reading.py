"""`midas.read_results`: the same arrays from the folder and from its HDF5 file, and the joins between them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import many_grains
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import midas
from midas.formats.grains import GRAINS, read_grains
from midas.formats.layer import Layer
from midas.formats.uncertainty import GrainSigmas
from midas.results import consolidated
from midas.results.columns import (
    GRAIN_DTYPE,
    GRAIN_FIELDS,
    PEAK_DTYPE,
    PEAK_FIELDS,
    SPOT_DTYPE,
    SPOT_FIELDS,
    page_table,
)
from midas.results.reading import Results
from midas.results.stress import Stiffness
from midas.results.tables.joins import SpotLinks
from midas.results.tables.sources import LayerTables, Sources
from midas.runtime.errors import FormatError, MidasError, ParameterError

COUNT = 12
TABLES = ("all_spots", "sigma", "quality", "owners")


@dataclass(frozen=True)
class Stored:
    """A layer that tests only read."""

    layer: Layer
    file: Path
    sigmas: GrainSigmas


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    made = many_grains.write(tmp_path_factory.mktemp("many") / "LayerNr_1", COUNT)
    file = consolidated.write(made.layer, tables=LayerTables(sigmas=made.sigmas))
    return Stored(made.layer, file, made.sigmas)


@pytest.fixture(scope="module")
def results(stored: Stored) -> Results:
    return midas.read_results(stored.layer.folder)


def assert_equal(one: Results, other: Results) -> None:
    """Everything that both sources hold."""
    for name in ("grains", "spots", "peaks", "spot_starts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in TABLES:
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None), name
        if first is not None:
            assert first.names == second.names
            np.testing.assert_array_equal(first.columns, second.columns, err_msg=name)
    assert (one.space_group, one.cell, one.parameters) == (other.space_group, other.cell, other.parameters)
    for spot in one.spots["spot_id"][::7].tolist():
        np.testing.assert_array_equal(one.peaks_of(spot), other.peaks_of(spot))


def test_folder_and_file_tell_the_same(stored: Stored, results: Results) -> None:
    from_file = midas.read_results(stored.file)
    assert_equal(results, from_file)
    np.testing.assert_array_equal(from_file.covariance, stored.sigmas.covariance)
    np.testing.assert_array_equal(results.covariance, stored.sigmas.covariance)
    assert results.archive == from_file.archive == stored.layer.archive


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_legacy_layers(name: str, golden: Callable[[str], Path], tmp_path: Path) -> None:
    """Folders of the legacy programs, and the file that is made of them: numbers alone lead from spots to peaks."""
    folder = tmp_path / name
    folder.mkdir()
    for path in golden(name).iterdir():
        (folder / path.name).symlink_to(path)
    results = midas.read_results(folder)
    layer = Layer(folder, folder / f"{name}.MIDAS.zip")
    assert_equal(results, midas.read_results(consolidated.write(layer, per_spot_groups=0)))
    links = SpotLinks.of(Sources(layer))
    first, last = (numbers[results.spots["spot_id"]] for numbers in (links.first, links.last))
    assert (last > first).all()
    found = np.stack([results.peaks[field] for field in ("merged_id", "frame", "peak_id")], axis=1)
    np.testing.assert_array_equal(found, links.constituents)
    np.testing.assert_array_equal(results.peaks["spot_id"], links.final_spot_id)
    for row in range(0, len(results.spots), 50):
        spot = results.spots[row]
        peaks = results.peaks_of(int(spot["spot_id"]))
        np.testing.assert_array_equal(peaks["peak_id"], links.constituents[first[row] : last[row], 2])
        assert spot["omega_min"] <= peaks["omega_recorded"].min() <= peaks["omega_recorded"].max() <= spot["omega_max"]
    assert results.sigma is None and results.quality is None and results.covariance is None


def test_arrays_hold_what_the_files_hold(stored: Stored, results: Results) -> None:
    table = read_grains(stored.layer.grains)
    g = results.grains
    assert (g.dtype, results.spots.dtype, results.peaks.dtype) == (GRAIN_DTYPE, SPOT_DTYPE, PEAK_DTYPE)
    np.testing.assert_array_equal(g["orientation"][:, 0, 2], table["O13"])
    np.testing.assert_array_equal(g["position"][:, 1], table["Y"])
    np.testing.assert_array_equal(g["strain"][:, 0, 1], table["eKen12"])
    np.testing.assert_array_equal(g["strain_fable"][:, 2, 2], table["eFab33"])
    np.testing.assert_array_equal(g["cell"][:, 3], table["alpha"])
    np.testing.assert_allclose(np.radians(g["euler_angles"][:, 2]), table["Eul2"])
    s = results.spots
    np.testing.assert_allclose(s["y_ideal"], -200 * (s["y_recorded"] - 512), atol=1e-3)
    np.testing.assert_allclose(np.degrees(np.arctan2(-s["y_ideal"], s["z_ideal"])), s["eta"], atol=1e-5)
    # The same numbers by another way: spot ids are rows of the spot table.
    all_spots = results.all_spots
    np.testing.assert_allclose(s["intensity"], all_spots["intensity"][s["spot_id"] - 1], atol=1e-4)
    np.testing.assert_allclose(s["grain_radius"], all_spots["grain_radius"][s["spot_id"] - 1], atol=1e-4)


def test_a_spot_is_the_sum_of_its_peaks(results: Results) -> None:
    for grain in results:
        assert (grain.spots["grain_id"] == grain.id).all() and len(grain.spots) > 50
        for spot in grain.spots:
            peaks = grain.peaks(int(spot["spot_id"]))
            assert len(peaks) == spot["frames"] and (peaks["spot_id"] == spot["spot_id"]).all()
            assert peaks["intensity"].sum() == pytest.approx(spot["intensity"], abs=1e-4)
            assert peaks["omega_recorded"].min() == spot["omega_min"]
    with pytest.raises(KeyError, match="has no spot"):
        grain.peaks(1 << 40)
    assert not len(results.peaks_of(1 << 40)) and not len(results.peaks_of(-1))


def test_grain(stored: Stored, results: Results) -> None:
    row = 5
    grain = results[int(results.grains["grain_id"][row])]
    assert grain.row == row and grain.id in results and -4 not in results
    np.testing.assert_allclose(grain.orientation.apply([1, 0, 0]), grain.matrix[:, 0], atol=1e-6)
    assert grain.sigma["sX"] == pytest.approx(stored.sigmas["sX"][row], rel=1e-5)
    assert [g.id for g in results] == results.grains["grain_id"].tolist() and len(results) == COUNT
    with pytest.raises(KeyError, match="has no grain 7000000"):
        results[7000000]
    with pytest.raises(ValueError, match="read-only"):
        grain.strain[0, 0] = 0
    names = results.grain_list
    np.testing.assert_array_equal(names.strains[row], grain.strain)
    assert (names.space_group, len(names)) == (225, COUNT)


def test_stress_of_an_isotropic_crystal(results: Results) -> None:
    """Hooke's law with Lame's constants knows no orientation."""
    first, second = 60.0, 26.0
    stiffness = np.diag([0.0, 0, 0, second, second, second])
    stiffness[:3, :3] = first + 2 * second * np.eye(3)
    for grain in results:
        e = (grain.strain + grain.strain.T) / 2
        expected = 1e-3 * (first * np.trace(e) * np.eye(3) + 2 * second * e)
        np.testing.assert_allclose(grain.stress(stiffness), expected, atol=1e-3)
    for wrong in (np.eye(3), -np.eye(6), "unobtainium"):
        with pytest.raises(ParameterError):
            grain.stress(wrong)


def test_stress_of_a_cubic_crystal_turns_with_it(results: Results) -> None:
    """The energy of the strain, from the crystal's axes and from the sample's."""
    c11, c12, c44 = 246.5, 147.3, 124.7
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12
    grain = next(iter(results))
    e = Rotation.from_matrix(grain.matrix).inv().as_matrix() @ grain.strain @ grain.matrix
    shear = 4 * c44 * (e[0, 1] ** 2 + e[0, 2] ** 2 + e[1, 2] ** 2)
    energy = c12 * np.trace(e) ** 2 + (c11 - c12) * (np.diag(e) ** 2).sum() + shear
    assert (grain.stress(stiffness) * grain.strain).sum() == pytest.approx(1e-3 * energy, rel=1e-5)
    nickel = Stiffness.of_material("Ni")
    np.testing.assert_allclose(grain.stress("nickel"), grain.stress(nickel))
    np.testing.assert_allclose(grain.stress(np.asarray(nickel)), grain.stress(nickel))


@pytest.mark.parametrize(
    ("table", "fields"), [("grains", GRAIN_FIELDS), ("spots", SPOT_FIELDS), ("peaks", PEAK_FIELDS)]
)
def test_units(results: Results, table: str, fields: tuple) -> None:
    assert results.units(table) == {field.name: field.unit for field in fields}
    assert list(results.units(table)) == list(getattr(results, table).dtype.names)
    for field in fields:
        assert len(field.flat_names) == int(np.prod(field.shape))
    with pytest.raises(ValueError, match="there is no table 'grain'"):
        results.units("grain")


def test_data_frames(results: Results) -> None:
    pytest.importorskip("pandas")
    frame = results.to_dataframe()
    assert frame.shape == (COUNT, 47)
    assert (frame["strain_12"] == results.grains["strain"][:, 0, 1]).all() and (frame["z"] == frame["z"]).all()
    assert frame.attrs["units"]["alpha"] == "degrees" and frame.attrs["units"]["a"] == "angstrom"
    frame["x"] = 0.0  # a frame is the user's own
    assert results.grains["position"].any()
    for name in ("spots", "peaks"):
        assert list(results.to_dataframe(name).columns) == list(getattr(results, name).dtype.names)
    for name in TABLES:
        assert tuple(results.to_dataframe(name).columns) == getattr(results, name).names
    values = results.to_dataframe("parameters").set_index("key")["value"]
    assert values["SpaceGroup"] == 225 and values["RingNumbers"] == (1, 2, 3, 4, 5)
    with pytest.raises(ValueError, match="there is no table"):
        results.to_dataframe("_rows")


def test_without_pandas(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MidasError, match=r"pip install midas-ffhedm\[dataframe\]"):
        results.to_dataframe()


def test_what_they_say_of_themselves(results: Results) -> None:
    assert repr(results).startswith("<Results of ") and "12 grains, space group 225" in repr(results)
    grain = next(iter(results))
    assert repr(grain).startswith(f"<Grain {grain.id}: (")
    assert f"{COUNT}</td>" in results._repr_html_() and " ± " in grain._repr_html_()


# Parts of a layer


@pytest.fixture
def copy(stored: Stored, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(stored.layer.folder, folder, symlinks=True)
    return folder


def test_a_layer_without_its_archive(copy: Path, results: Results) -> None:
    """The archive is large and may have stayed where it was."""
    (copy / many_grains.ARCHIVE).unlink()
    left = midas.read_results(copy)
    assert left.archive is None and left.layer is not None and left.layer.archive is None
    for name in ("grains", "spots", "peaks"):
        np.testing.assert_array_equal(getattr(left, name), getattr(results, name))
    for path in (copy / "Temp").iterdir():
        path.unlink()
    assert np.isnan(midas.read_results(copy).peaks["intensity"]).all()
    (copy / "MergeMap.csv").unlink()
    assert midas.read_results(copy).peaks.shape == (0,)


def test_a_folder_with_the_file_alone(
    stored: Stored, results: Results, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(stored.file, tmp_path)
    with caplog.at_level("INFO", "midas"):
        left = midas.read_results(tmp_path)
    assert_equal(results, left)
    assert left.layer is None and left.folder == tmp_path
    assert left.archive is None  # the file says where it was, but a stranger may have written that
    (said,) = caplog.messages
    assert f"the archive {stored.layer.archive} is not below the folder" in said and "archive=..." in said
    assert midas.read_results(tmp_path, archive=stored.layer.archive).archive == stored.layer.archive


def test_a_file_whose_archive_is_gone(stored: Stored, tmp_path: Path) -> None:
    path = Path(shutil.copy(stored.file, tmp_path))
    with h5py.File(path, "a") as file:
        del file["raw_data_ref/zarr_path"]
        file["raw_data_ref/zarr_path"] = "/nowhere/scan.MIDAS.zip"
    assert midas.read_results(path).archive is None
    (tmp_path / "scan.MIDAS.zip").touch()  # moved together with the file
    assert midas.read_results(path).archive == tmp_path / "scan.MIDAS.zip"


def test_a_lone_grain_list(stored: Stored, results: Results, tmp_path: Path) -> None:
    path = Path(shutil.copy(stored.layer.grains, tmp_path / "mine.csv"))
    lone = midas.read_results(path)
    np.testing.assert_array_equal(lone.grains, results.grains)
    assert lone.parameters == {} and lone.sigma is None and lone.all_spots is None and not len(lone.peaks)
    with pytest.raises(FormatError, match=r"SpotMatrix\.csv: cannot be read"):
        lone.spots  # noqa: B018
    beside = midas.read_results(stored.layer.grains)
    np.testing.assert_array_equal(beside.spots, results.spots)


@pytest.mark.parametrize("count", [0, 1])
def test_few_grains(count: int, tmp_path: Path) -> None:
    made = many_grains.write(tmp_path / "layer", count)
    results = midas.read_results(tmp_path / "layer")
    assert len(results) == len(list(results)) == count
    assert len(results.spots) == results.spot_starts[-1] and len(results.peaks)
    assert str(count) in results._repr_html_()
    assert_equal(results, midas.read_results(consolidated.write(made.layer)))


def test_opening_reads_nothing_that_is_not_asked_for(copy: Path) -> None:
    for name in ("SpotMatrix.csv", "MergeMap.csv", "InputAllExtraInfoFittingAll.csv", "GrainsSigma.csv"):
        (copy / name).write_bytes(b"header\n" * 10)
    results = midas.read_results(copy)
    assert len(results.grains) == COUNT
    with pytest.raises(FormatError, match=r"SpotMatrix\.csv"):
        results.spots  # noqa: B018


def test_two_archives_must_be_told_apart(copy: Path, results: Results) -> None:
    shutil.copy(copy / many_grains.ARCHIVE, copy / "other.MIDAS.zip")
    with pytest.raises(FormatError, match="name one of them"):
        midas.read_results(copy)
    chosen = midas.read_results(copy, archive=copy / many_grains.ARCHIVE)
    np.testing.assert_array_equal(chosen.peaks, results.peaks)

    lone = midas.read_results(copy / "Grains.csv")  # the grains need no archive
    assert lone.archive is None and len(lone) == COUNT
    with pytest.raises(FormatError, match="does not exist"):
        midas.read_results(copy, archive=copy / "absent.MIDAS.zip")


def test_uncertainties_of_other_grains(copy: Path) -> None:
    for name in ("GrainsSigma.csv", "GrainQuality.csv"):
        lines = (copy / name).read_text().splitlines()
        (copy / name).write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]) + "\n")
    results = midas.read_results(copy)
    with pytest.raises(FormatError, match="GrainsSigma.csv lists other grains"):
        results.sigma  # noqa: B018
    with pytest.raises(FormatError, match="GrainQuality.csv lists other grains"):
        results.quality  # noqa: B018


def test_links_of_folders_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(FormatError, match="one: cannot be read"):
        midas.read_results(tmp_path / "one").grains  # noqa: B018


def test_what_is_no_layer(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no Grains.csv; name a layer folder"):
        midas.read_results(tmp_path)
    (tmp_path / "LayerNr_2").mkdir()
    with pytest.raises(FormatError, match=r"name one of its layers \(LayerNr_2\)"):
        midas.read_results(tmp_path)
    for name in ("absent", "absent.csv", "absent.h5"):
        with pytest.raises(FormatError, match="absent"):
            midas.read_results(tmp_path / name).grains  # noqa: B018


def test_spots_of_other_grains(copy: Path) -> None:
    text = (copy / "SpotMatrix.csv").read_text().splitlines()
    (copy / "SpotMatrix.csv").write_text("\n".join(text[:-3]) + "\n")
    results = midas.read_results(copy)
    assert results.spot_starts[-1] == len(text) - 4  # fewer spots are no contradiction
    grains = (copy / "Grains.csv").read_text().splitlines()
    (copy / "Grains.csv").write_text("\n".join([f"%NumGrains {COUNT - 1}", *grains[1:-1]]) + "\n")
    with pytest.raises(FormatError, match="does not list the spots"):
        midas.read_results(copy).spot_starts  # noqa: B018


def test_the_page_lists_the_columns() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
    for fields in (GRAIN_FIELDS, SPOT_FIELDS, PEAK_FIELDS):
        assert page_table(fields) in page, f"docs/results.md must hold:\n{page_table(fields)}"


def test_columns_are_all_of_grains_csv() -> None:
    assert sum(len(field.flat_names) for field in GRAIN_FIELDS) == len(GRAINS.names)
