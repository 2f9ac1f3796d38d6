"""The consolidated HDF5 against the legacy tables, the manual's example, and layers made by hand (07 §5.4-5.5)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from midas.formats import hkls, merged, peaks, radius, spots
from midas.formats.grains import GRAINS, SPOT_MATRIX, GrainIdsKey, GrainsHeader, read_grains
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.results import consolidated, grain_groups
from midas.results.sources import LayerTables
from midas.runtime.errors import FormatError, OutputError

#: everything of a legacy run that the file is made of
MEMBERS = (
    "hkls.csv Temp MergeMap.csv InputAllExtraInfoFittingAll.csv IDRings.csv IDsHash.csv SpotsToIndex.csv "
    "paramstest.txt Grains.csv SpotMatrix.csv GrainIDsKey.csv"
).split()
FRAMES = {"au3": 1440, "ds1": 360, "ds2": 360}


@pytest.fixture
def legacy_layer(golden_copy: Callable[..., Path]) -> Callable[[str], Layer]:
    def layer(name: str) -> Layer:
        tables = [f"{kind}_StartNr_1_EndNr_{FRAMES[name]}.csv" for kind in ("Result", "Radius")]
        folder = golden_copy(name, *MEMBERS, *tables, f"{name}.MIDAS.zip")
        return Layer(folder, folder / f"{name}.MIDAS.zip")

    return layer


def numbers(path: Path, skip: int) -> np.ndarray:
    return np.array([line.split() for line in path.read_text().splitlines()[skip:]], float)


@pytest.fixture(scope="module")
def au3_file(golden: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> h5py.File:
    """The file of the legacy example; only read."""
    source, folder = golden("au3"), tmp_path_factory.mktemp("layer") / "au3"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).symlink_to(path)
    with h5py.File(consolidated.write(Layer(folder, folder / "au3.MIDAS.zip"))) as file:
        yield file


@pytest.mark.golden
def test_example_of_the_manual_runs_verbatim(
    shared: Path, legacy_layer: Callable[[str], Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    manual = (shared / "MANUAL.md").read_text()
    section = manual[manual.index("#### Python Example: Reading the Consolidated HDF5") :]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    layer = legacy_layer("au3")
    consolidated.write(layer).rename(layer.folder / "output_consolidated.h5")
    monkeypatch.chdir(layer.folder)
    names: dict[str, Any] = {}
    exec(compile(found.group(1), "MANUAL.md", "exec"), names)
    assert names["lsd"] == 1e6
    assert names["grains_summary"].shape == (3, 47)
    assert names["col_names"] == list(GRAINS.names)
    assert names["grain_id"] == 66 and names["n_spots"] == 112 and len(names["omegas"]) == 112
    np.testing.assert_allclose(names["orientation"] @ names["orientation"].T, np.eye(3), atol=2e-6)
    assert names["n_peaks"] == len(names["frame_nrs"]) == len(names["intensities"]) >= 1


@pytest.mark.golden
def test_tables_equal_the_files(au3_file: h5py.File, golden: Callable[[str], Path]) -> None:
    folder, h5 = golden("au3"), au3_file
    for path, name, skip in (
        ("all_spots/data", "InputAllExtraInfoFittingAll.csv", 1),
        ("hkls/data", "hkls.csv", 1),
        ("peaks/summary/data", "Result_StartNr_1_EndNr_1440.csv", 1),
        ("id_rings/data", "IDRings.csv", 1),
        ("ids_hash/data", "IDsHash.csv", 0),
        ("spot_matrix/data", "SpotMatrix.csv", 1),
        ("grains/summary", "Grains.csv", 9),
    ):
        np.testing.assert_array_equal(h5[path][:], numbers(folder / name, skip), err_msg=path)
        assert h5[path].dtype == "<f8" and h5[path].chunks is None
        columns = list(h5[path].attrs["column_names"])
        assert columns == list(h5[path].parent.attrs["column_names"])
        assert len(columns) == h5[path].shape[1]
    per_frame = np.concatenate(
        [
            np.insert(rows, 0, frame, axis=1)
            for frame in range(1, 1441)
            if len(rows := numbers(folder / f"Temp/au3.MIDAS.zip_{frame:06d}_PS.csv", 1))
        ]
    )
    np.testing.assert_array_equal(h5["peaks/per_frame/data"][:], per_frame)
    sizes = numbers(folder / "Radius_StartNr_1_EndNr_1440.csv", 1)
    assert len(h5["radius_data"]) == 22
    for k, name in enumerate(h5["radius_data"].attrs["column_names"]):
        np.testing.assert_array_equal(h5["radius_data"][name][:], sizes[:, k])
    mapping = numbers(folder / "MergeMap.csv", 1)
    for k, name in enumerate(("MergedSpotID", "FrameNr", "PeakID")):
        assert h5["merge_map"][name].dtype == np.int64
        np.testing.assert_array_equal(h5["merge_map"][name][:], mapping[:, k])
    seeds = [int(line) for line in (folder / "SpotsToIndex.csv").read_text().split()]
    assert h5["spots_to_index/data"][:].tolist() == seeds and h5["spots_to_index/data"].dtype == np.int64
    lines = [[int(n) for n in line.split()] for line in (folder / "GrainIDsKey.csv").read_text().splitlines()]
    assert h5["grain_ids_key/data"][:].tolist() == lines
    assert h5["raw_data_ref/zarr_path"].asstr()[()].endswith("/au3.MIDAS.zip")
    assert not h5.attrs


@pytest.mark.golden
def test_groups_hold_the_right_columns(au3_file: h5py.File) -> None:
    summary = au3_file["grains/summary"][:]
    assert "per_spot_groups" not in au3_file["grains"].attrs
    for row in summary:
        g = au3_file[f"grains/grain_{int(row[0]):04d}"]
        np.testing.assert_array_equal(g["orientation"][:].ravel(), row[1:10])
        np.testing.assert_array_equal(g["position"][:], row[10:13])
        np.testing.assert_array_equal(g["lattice_params_fit"][:], row[13:19])
        np.testing.assert_array_equal(g["strain_fable"][:].ravel(), row[24:33])
        np.testing.assert_array_equal(g["strain_kenesei"][:].ravel(), row[33:42])
        np.testing.assert_allclose(g["euler_angles"][:], np.degrees(row[44:47]))
        for name, column in (("rms_strain_error", 42), ("confidence", 23), ("phase_nr", 43), ("radius", 22)):
            assert g[name][()] == row[column]
        assert [g[f"diff_{name}"][()] for name in ("pos", "ome", "angle")] == row[19:22].tolist()
        assert g["grain_id"][()] == row[0] and g["grain_id"].dtype == g["phase_nr"].dtype == np.int64
        assert g["euler_angles"].attrs["units"] == "degrees"
        assert g["strain_fable"].attrs["units"] == g["strain_kenesei"].attrs["units"] == "1e-6"


@pytest.mark.golden
def test_joins_agree_in_ring_omega_and_position(au3_file: h5py.File) -> None:
    """The frames of the peaks and the sizes of a spot are its own: none of this holds for a join on equal ids."""
    h5 = au3_file
    rings = dict(zip(h5["radius_data/GrainRadius"][:], h5["radius_data/RingNr"][:], strict=True))
    spots_seen = 0
    for name in (n for n in h5["grains"] if n.startswith("grain_")):
        own = h5["grains"][name]["spots"]
        ids = own["spotid"][:].astype(int).tolist()
        assert own["n_spots"][()] == len(ids) == sum(n.startswith("spot_") for n in own)
        assert (own["radius_minome"][:] - 0.2 <= own["omega"][:]).all()
        assert (own["omega"][:] <= own["radius_maxome"][:] + 0.2).all()
        np.testing.assert_array_equal([rings[r] for r in own["radius_grainradius"][:]], own["ringnr"][:])
        for row, i in enumerate(ids):
            spot = own[f"spot_{i:06d}"]
            spots_seen += 1
            assert spot["spot_id"][()] == i
            for key in "omega dety detz omeraw eta ringnr ylab zlab theta strainerror".split():
                assert spot[key][()] == own[key][row]
            for key in "minome maxome deltaomega nimgs grainvolume grainradius powderintensity".split():
                assert spot[key][()] == own[f"radius_{key}"][row]
            cp = spot["constituent_peaks"]
            assert cp["n_constituent_peaks"][()] == len(cp["frame_nr"]) == spot["nimgs"][()]
            weights = cp["integratedintensity"][:]
            np.testing.assert_allclose(np.average(cp["ycen"][:], weights=weights), spot["dety"][()], atol=2e-5)
            np.testing.assert_allclose(np.average(cp["zcen"][:], weights=weights), spot["detz"][()], atol=2e-5)
            np.testing.assert_array_equal(cp["peak_id"][:], cp["spotid"][:])
            assert len(cp) == 3 + 27
    assert spots_seen == 340
    final, data = h5["constituent_peaks/final_spot_id"][:], h5["constituent_peaks/data"][:]
    assert data.shape == (318, 30) and final.dtype == np.int64
    assert len(h5["constituent_peaks/data"].attrs["column_names"]) == 30
    assert sorted(set(final.tolist())) == list(range(1, 293))
    omega = h5["all_spots/data"][:, 2][final - 1]
    accepted = h5["all_spots/data"][:, 0][final - 1] != 0
    assert (np.abs(data[:, 5] - omega)[accepted] < 0.35).all()


@pytest.mark.golden
def test_parameters_of_the_layer(au3_file: h5py.File) -> None:
    p = au3_file["parameters"]
    assert p["Distance"][()] == p["Lsd"][()] == 1e6
    assert p["SpaceGroup"][()] == 225.0 and p["SpaceGroup"].dtype == np.float64
    np.testing.assert_array_equal(p["LatticeParameter"][:], [4.08, 4.08, 4.08, 90, 90, 90])
    np.testing.assert_array_equal(p["RingNumbers"][:], [1, 2, 3, 4, 5])
    assert p["OutputFolder"].asstr()[()] == ".///Output"


@pytest.mark.golden
def test_the_same_results_are_the_same_bytes_and_left_overs_stay_out(legacy_layer: Callable[[str], Layer]) -> None:
    layer = legacy_layer("ds2")
    first = consolidated.write(layer, per_spot_groups=0).read_bytes()
    some = next(path for path in sorted(layer.temp.glob("*_PS.csv")) if len(path.read_text().splitlines()) > 1)
    (layer.temp / "other.MIDAS.zip_000001_PS.csv").write_bytes(some.read_bytes())
    (layer.temp / "ds2.MIDAS.zip_000361_PS.csv").write_bytes(some.read_bytes())
    (layer.folder / "Radius_StartNr_1_EndNr_9.csv").write_text("of another scan\n")
    assert consolidated.write(layer, per_spot_groups=0).read_bytes() == first
    assert not list(layer.folder.glob("*.part"))


# Layers made by hand

#: four merged spots: 1 on ring 1, 2 on no ring, 3 on both, 4 on ring 2
MERGED_RADII = [100.0, 500.0, 150.0, 200.0]
PARAMETERS = Parameters.parse("RingThresh 1 10\nRingThresh 2 10\nWidth 60\npx 1\n")


def table(layout: Any, n: int, **columns: Any) -> Table:
    return Table.from_columns(layout.names, dict.fromkeys(layout.names, np.zeros(n)) | columns)


def small(*, grain_spots: tuple[tuple[int, tuple[int, ...]], ...] = ((3, (1, 2, 3)),)) -> dict[str, Any]:
    """Tables of a layer with four radius rows, sorted anew into spots 1 (ring 1, row 2), 2 (row 1), 3 (row 4), 4."""
    ids = [(grain, spot) for grain, own in grain_spots for spot in own]
    flat = np.array(ids, float).reshape(-1, 2).T
    members = np.array([grain for grain, _ in grain_spots], np.int64)
    return {
        "parameters": PARAMETERS,
        "hkls": table(hkls.LAYOUT, 2, ring=[1, 2], radius=[100.0, 200.0]),
        "merged": table(merged.RESULT, 4, spot_id=[1, 2, 3, 4], radius=MERGED_RADII),
        "merge_map": table(
            merged.MERGE_MAP, 6, merged_id=[1, 2, 3, 3, 4, 4], frame=[1, 1, 3, 2, 3, 2], peak_id=[1, 2, 1, 1, 2, 9]
        ),
        "peaks": [
            table(peaks.LAYOUT, 2, peak_id=[1, 2], intensity=[11, 12]),
            table(peaks.LAYOUT, 1, peak_id=[1], intensity=[21]),
            table(peaks.LAYOUT, 2, peak_id=[1, 2], intensity=[31, 32]),
        ],
        "radius": table(radius.LAYOUT, 4, spot_id=[1, 2, 3, 4], ring=[1, 1, 2, 2], grain_radius=[1, 2, 3, 4]),
        "id_rings": table(spots.ID_RINGS, 4, ring=[1, 1, 2, 2], radius_id=[2, 1, 4, 3], spot_id=[1, 2, 3, 4]),
        "ids_hash": table(spots.IDS_HASH, 2, ring=[1, 2], first_id=[1, 3], end_id=[3, 5]),
        "extra_info": table(spots.EXTRA_INFO, 4, spot_id=[1, 2, 3, 4], ring=[1, 1, 2, 2]),
        "spots_to_index": np.arange(1, 5),
        "grains": table(GRAINS, len(grain_spots), GrainID=members),
        "spot_matrix": table(SPOT_MATRIX, len(ids), GrainID=flat[0], SpotID=flat[1]),
        "grain_ids_key": GrainIdsKey(np.arange(len(members) + 1), members, members),
    }  # fmt: skip


def written(folder: Path, tables: dict[str, Any], **options: int) -> h5py.File:
    return h5py.File(consolidated.write(Layer(folder, folder / "x.MIDAS.zip"), tables=LayerTables(**tables), **options))


@pytest.mark.parametrize(("asked", "most", "written_"), [(-1, 3, True), (-1, 2, False), (0, 3, False), (1, 2, True)])
def test_groups_of_spots_are_written_when_few_or_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: int,
    most: int,
    written_: bool,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(grain_groups, "MOST_SPOT_GROUPS", most)
    with written(tmp_path, small(), per_spot_groups=asked) as h5:
        own = h5["grains/grain_0003/spots"]
        assert sum(n.startswith("spot_") for n in own) == (3 if written_ else 0)
        assert h5["grains"].attrs.get("per_spot_groups") == (None if written_ else 0)
        assert own["n_spots"][()] == len(own["radius_theta"]) == 3
    assert ("-perSpotGroups 1 writes them" in caplog.text) is not written_


def test_joins_where_a_spot_is_on_no_ring_and_another_on_two(tmp_path: Path) -> None:
    """Radius rows 1...4 are merged spots 1, 3, 3, 4; a join on equal ids would be wrong for all but one."""
    with written(tmp_path, small(grain_spots=((3, (1, 2, 3, 4)),))) as h5:
        own = h5["grains/grain_0003/spots"]
        assert own["radius_grainradius"][:].tolist() == [2, 1, 4, 3]
        found = {i: own[f"spot_{i:06d}/constituent_peaks/integratedintensity"][:] for i in (1, 2, 3, 4)}
        assert found[1].tolist() == found[4].tolist() == [31, 21]
        assert found[2].tolist() == [11]
        assert found[3][0] == 32 and np.isnan(found[3][1])  # peak 9 of frame 2 is in no table
        assert h5["constituent_peaks/final_spot_id"][:].tolist() == [2, -1, 1, 1, 3, 3]
        data = h5["constituent_peaks/data"][:]
        assert data.shape == (6, 30)
        assert np.isnan(data[5, 3:]).all() and data[5, :3].tolist() == [4, 2, 9]


def test_constituents_stand_together_in_order_of_first_appearance(tmp_path: Path) -> None:
    tables = small()
    order = [4, 2, 0, 3, 5, 1]
    tables["merge_map"] = tables["merge_map"].take(np.array(order))
    with written(tmp_path, tables) as h5:
        assert h5["constituent_peaks/data"][:, 0].tolist() == [4, 4, 3, 3, 1, 2]
        assert h5["merge_map/MergedSpotID"][:].tolist() == [4, 3, 1, 3, 4, 2]
        assert h5["constituent_peaks/final_spot_id"][:].tolist() == [3, 3, 1, 1, 2, -1]


def test_no_grains(tmp_path: Path) -> None:
    with written(tmp_path, small(grain_spots=())) as h5:
        assert h5["grains/summary"].shape == (0, 47)
        assert h5["spot_matrix/data"].shape == (0, 12)
        assert h5["grain_ids_key/data"].shape == (0, 0)
        assert list(h5["grains"]) == ["summary"]


def test_a_spot_listed_twice_has_two_groups(tmp_path: Path) -> None:
    with written(tmp_path, small(grain_spots=((3, (1, 2, 1)),))) as h5:
        own = [n for n in h5["grains/grain_0003/spots"] if n.startswith("spot_")]
        assert own == ["spot_000001", "spot_000001_2", "spot_000002"]


def test_grains_of_one_id_take_their_spots_from_the_refinement(tmp_path: Path) -> None:
    """Tracking: seeds 7, 7 and a third one whose completeness is too low."""
    tables = small(grain_spots=((7, (1, 2)), (7, (2, 3, 4))))
    tables["spots_to_index"] = np.array([[7, 1], [0, 2], [7, 3], [7, 4]])
    layer = Layer(tmp_path, tmp_path / "x.MIDAS.zip")
    layer.results.mkdir()
    np.array([[7, 2], [0, 0], [7, 3], [7, 1]], "<i4").tofile(layer.key)
    fits = np.zeros((4, 27))
    fits[:, 26] = [1, 0, 0.9, 0.01]
    fits.tofile(layer.orient_pos_fit)
    slots = np.ones((4, 5000), "<i4")
    slots.tofile(layer.process_key)
    with written(tmp_path, tables) as h5:
        assert [n for n in h5["grains"] if n.startswith("grain")] == ["grain_0007", "grain_0007_2"]
        assert h5["grains/grain_0007/spots/spotid"][:].tolist() == [1, 2]
        assert h5["grains/grain_0007_2/spots/spotid"][:].tolist() == [2, 3, 4]
        assert h5["spots_to_index/data"].shape == (4, 2)
    np.array([[7, 2], [0, 0], [0, 0], [7, 1]], "<i4").tofile(layer.key)
    with pytest.raises(FormatError, match="not the result of the refinement"):
        consolidated.write(layer, tables=LayerTables(**tables))


@pytest.mark.parametrize("missing", ["merge_map", "peaks", "radius", "id_rings", "hkls", "extra_info"])
def test_groups_without_source_are_left_out(tmp_path: Path, missing: str) -> None:
    tables = small()
    tables[missing] = None if missing != "peaks" else []
    # Without an archive nobody knows the name of the Radius file.
    layer = Layer(tmp_path, None if missing == "radius" else tmp_path / "x.MIDAS.zip")
    with h5py.File(consolidated.write(layer, tables=LayerTables(**tables))) as h5:
        for group in ("parameters", "peaks", "spot_matrix", "grains", "raw_data_ref"):
            assert group in h5
        spot = h5["grains/grain_0003/spots/spot_000001"]
        assert ("constituent_peaks" in spot) is (missing != "merge_map")
        if missing in ("radius", "id_rings"):
            assert np.isnan(spot["grainradius"][()])
            assert (h5["constituent_peaks/final_spot_id"][:] == -1).all()
        if missing == "peaks":
            assert np.isnan(h5["constituent_peaks/data"][:, 3:]).all()


def test_a_run_from_a_spot_table_has_no_archive(tmp_path: Path) -> None:
    tables = {name: value for name, value in small().items() if name in ("extra_info", "grains", "spot_matrix")}
    path = consolidated.write(Layer(tmp_path), tables=LayerTables(**tables))
    assert path.name == "output_consolidated.h5"
    with h5py.File(path) as h5:
        assert h5["raw_data_ref/zarr_path"].asstr()[()] == ""
        assert list(h5["peaks"]) == []


def test_lines_of_the_parameter_file(tmp_path: Path) -> None:
    (tmp_path / "paramstest.txt").write_text(
        "# a comment 1\n% another 2\nWavelength 0.2;  # inline 3\nDistance 5e5;\nName with blanks\nFlag\n"
        "OmegaRange -180 0;\nOmegaRange 10 180;\nPath /a\nPath /b\nLone\t7\n"
    )
    with written(tmp_path, small()) as h5:
        p = h5["parameters"]
        assert p["Wavelength"][()] == 0.2 and p["Lone"][()] == 7 and p["Lsd"][()] == 5e5
        assert p["OmegaRange"][:].tolist() == [-180, 0, 10, 180]
        assert p["Name"].asstr()[()] == "with blanks" and p["Flag"].asstr()[()] == ""
        assert p.attrs["Path"] == "['/a', '/b']" and "Path" not in p
        assert set(p) == {"Wavelength", "Distance", "Lsd", "Name", "Flag", "OmegaRange", "Lone"}


def test_an_lsd_of_its_own_is_kept(tmp_path: Path) -> None:
    (tmp_path / "paramstest.txt").write_text("Distance 5e5\nLsd 6e5\n")
    with written(tmp_path, small()) as h5:
        assert h5["parameters/Lsd"][()] == 6e5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("id_rings", table(spots.ID_RINGS, 1, spot_id=[5], radius_id=[1]), "beyond the 4 spots"),
        ("id_rings", table(spots.ID_RINGS, 1, spot_id=[1], radius_id=[5]), "4 radius rows"),
        ("radius", table(radius.LAYOUT, 4, spot_id=[1, 2, 4, 3]), "do not count"),
        ("merged", table(merged.RESULT, 1, spot_id=[1], radius=[100]), "where the merged spots give 1"),
        ("spot_matrix", table(SPOT_MATRIX, 1, GrainID=[4], SpotID=[1]), "does not list the spots"),
    ],
)
def test_tables_of_different_runs_are_an_error_and_leave_the_old_file(
    tmp_path: Path, name: str, value: Table, message: str
) -> None:
    old = tmp_path / "x.MIDAS_consolidated.h5"
    old.write_bytes(b"old")
    with pytest.raises(FormatError, match=message):
        written(tmp_path, small() | {name: value})
    assert [path.name for path in tmp_path.iterdir()] == [old.name] and old.read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        written(tmp_path / "nowhere", small())


def test_a_second_consolidated_file_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "old_consolidated.h5").write_bytes(b"")
    written(tmp_path, small()).close()
    assert "old_consolidated.h5" in caplog.text


def test_grains_are_read_from_the_files(tmp_path: Path) -> None:
    tables = small()
    layer = Layer(tmp_path, tmp_path / "x.MIDAS.zip")
    header = GrainsHeader(1, 0, 0, 0, 1, 1, (1.0,) * 6).text()
    GRAINS.write(layer.grains, tables.pop("grains"), header=header)
    SPOT_MATRIX.write(layer.spot_matrix, tables.pop("spot_matrix"))
    layer.grain_ids_key.write_bytes(tables.pop("grain_ids_key").format())
    layer.spots_to_index.write_text("1 11\n0 12\n")
    del tables["spots_to_index"]
    with written(tmp_path, tables) as h5:
        assert h5["grains/summary"].shape == (1, 47) and len(read_grains(layer.grains)) == 1
        assert h5["spots_to_index/data"][:].tolist() == [[1, 11], [0, 12]]
        assert list(h5["spots_to_index/data"].attrs["column_names"]) == ["SpotID", "OriginalGrainID"]
