"""The consolidated HDF5 of layers made by hand: joins, missing tables, groups of spots."""

from __future__ import annotations

import logging
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
from midas.results import consolidated
from midas.results.hdf5.writing import atomic_hdf5, plain_name
from midas.results.tables.sources import LayerTables
from midas.runtime.errors import FormatError, OutputError

# Layers made by hand

#: four merged spots: 1 on ring 1, 2 on no ring, 3 on both, 4 on ring 2
MERGED_RADII = [100.0, 500.0, 150.0, 200.0]
PARAMETERS = Parameters.parse("RingThresh 1 10\nRingThresh 2 10\nWidth 60\npx 1\nLsd 1e6\nBC 0 0\nRhoD 1e6\n")


def table(layout: Any, n: int, **columns: Any) -> Table:
    return Table.from_columns(layout.names, dict.fromkeys(layout.names, np.zeros(n)) | columns)


def small(*, grain_spots: tuple[tuple[int, tuple[int, ...]], ...] = ((3, (1, 2, 3)),)) -> dict[str, Any]:
    """Tables of a layer with four radius rows, sorted anew into spots 1 (ring 1, row 2), 2 (row 1), 3 (row 4), 4."""
    ids = [(grain, spot) for grain, own in grain_spots for spot in own]
    flat = np.array(ids, float).reshape(-1, 2).T
    members = np.array([grain for grain, _ in grain_spots], np.int64)
    return {
        "parameters": PARAMETERS,
        "hkls": table(hkls.LAYOUT, 2, ring=[1, 2], ring_radius=[100.0, 200.0]),
        "merged": table(merged.RESULT, 4, spot_id=[1, 2, 3, 4], y_recorded=MERGED_RADII),
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


@pytest.mark.parametrize(("asked", "written_"), [(-1, True), (0, False), (1, True)])
def test_groups_of_spots_are_written_unless_not_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, asked: int, written_: bool
) -> None:
    caplog.set_level(logging.INFO)
    with written(tmp_path, small(), per_spot_groups=asked) as h5:
        own = h5["grains/grain_0003/spots"]
        assert sum(n.startswith("spot_") for n in own) == (3 if written_ else 0)
        assert h5["grains"].attrs.get("per_spot_groups") == (None if written_ else 0)
        assert own["n_spots"][()] == len(own["radius_theta"]) == 3
    assert ("-perSpotGroups 0" in caplog.text) is not written_


def test_joins_where_a_spot_is_on_no_ring_and_another_on_two(tmp_path: Path) -> None:
    """Radius rows 1...4 are merged spots 1, 3, 3, 4; a join on equal ids would be wrong for all but one."""
    with written(tmp_path, small(grain_spots=((3, (1, 2, 3, 4)),))) as h5:
        own = h5["grains/grain_0003/spots"]
        assert own["radius_grainradius"][:].tolist() == [2, 1, 4, 3]
        found = {i: own[f"spot_{i:06d}"]["constituent_peaks"]["integratedintensity"][:] for i in (1, 2, 3, 4)}
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
def test_groups_without_source_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: str) -> None:
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
    told = {"merge_map": "MergeMap.csv", "radius": "Radius_*.csv", "id_rings": "IDRings.csv", "hkls": "hkls.csv"}
    if missing in told:
        assert f"3 of the 3 spots of grains have no constituent peaks: without {told[missing]}" in caplog.text
    else:
        assert "no constituent peaks" not in caplog.text


def test_a_run_from_a_spot_table_has_no_archive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables = {name: value for name, value in small().items() if name in ("extra_info", "grains", "spot_matrix")}
    path = consolidated.write(Layer(tmp_path), tables=LayerTables(**tables))
    assert path.name == "output_consolidated.h5"
    with h5py.File(path) as h5:
        assert h5["raw_data_ref/zarr_path"].asstr()[()] == ""
        assert list(h5["peaks"]) == []
    assert not caplog.text


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
        assert set(p) == {"Wavelength", "Distance", "Lsd", "Name", "Flag", "OmegaRange", "Lone", "GrainMerging"}
        assert p["GrainMerging"].asstr()[()] == "spots"


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
        ("merged", table(merged.RESULT, 1, spot_id=[1], y_recorded=[100]), "where the merged spots give 1"),
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
    sound = dict.fromkeys(("O11", "O22", "O33"), 1.0) | dict.fromkeys(("a", "b", "c"), 4.08)
    right = dict.fromkeys(("alpha", "beta", "gamma"), 90.0)
    GRAINS.write(layer.grains, table(GRAINS, 1, GrainID=[3], **sound, **right), header=header)
    del tables["grains"]
    SPOT_MATRIX.write(layer.spot_matrix, tables.pop("spot_matrix"))
    layer.grain_ids_key.write_bytes(tables.pop("grain_ids_key").format())
    layer.spots_to_index.write_text("1 11\n0 12\n")
    del tables["spots_to_index"]
    with written(tmp_path, tables) as h5:
        assert h5["grains/summary"].shape == (1, 47) and len(read_grains(layer.grains)) == 1
        assert h5["spots_to_index/data"][:].tolist() == [[1, 11], [0, 12]]
        assert list(h5["spots_to_index/data"].attrs["column_names"]) == ["SpotID", "OriginalGrainID"]


def test_keys_that_are_no_names(tmp_path: Path) -> None:
    """A key of paramstest.txt may be any word; in the file it is one name in the group of the parameters."""
    with atomic_hdf5(tmp_path / "names.h5") as root:
        group = root.group("parameters")
        for key in (".", "..", "../../x", "a/b", "", "nul\0", "\udcff", "half \ud800", "x" * 70_000):
            if key:
                group.put_text(plain_name(key), key)
    with h5py.File(tmp_path / "names.h5") as file:
        assert list(file) == ["parameters"]
        assert plain_name("") == "_"
        assert {"_", "..", ".._.._x", "a_b", "x" * 200} <= set(file["parameters"])
