"""The consolidated HDF5 of the legacy runs: their tables, joins, and what users' scripts read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.formats.grains import GRAINS
from midas.formats.layer import Layer
from midas.results import consolidated

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
def test_scripts_of_users_find_their_names(au3_file: h5py.File) -> None:
    """The names and shapes by which scripts read the legacy file."""
    assert au3_file["parameters/Lsd"][()] == 1e6
    summary = au3_file["grains/summary"]
    assert summary[:].shape == (3, 47)
    assert list(summary.attrs["column_names"]) == list(GRAINS.names)
    grains = [au3_file["grains"][name] for name in au3_file["grains"] if name.startswith("grain_")]
    assert [grain["grain_id"][()] for grain in grains] == sorted(summary[:, 0].astype(int))
    for grain in grains:
        orientation, spots = grain["orientation"][:], grain["spots"]
        np.testing.assert_allclose(orientation @ orientation.T, np.eye(3), atol=2e-6)
        assert grain["position"].shape == (3,)
        assert spots["n_spots"][()] == len(spots["omega"]) > 100
        peaks = [spots[name]["constituent_peaks"] for name in spots if name.startswith("spot_")]
        assert len(peaks) == len(spots["omega"])
        for peak in peaks:
            assert peak["n_constituent_peaks"][()] == len(peak["frame_nr"]) == len(peak["integratedintensity"]) >= 1


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
    assert set(h5.attrs) == {"program", "version", "date", "command_line"}  # nobody knows how legacy was called


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
            assert len(cp.dtype.names) == 3 + 27
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
def test_the_same_results_are_the_same_bytes_and_left_overs_stay_out(
    legacy_layer: Callable[[str], Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = legacy_layer("ds2")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = consolidated.write(layer, per_spot_groups=0).read_bytes()
    some = next(path for path in sorted(layer.temp.glob("*_PS.csv")) if len(path.read_text().splitlines()) > 1)
    (layer.temp / "other.MIDAS.zip_000001_PS.csv").write_bytes(some.read_bytes())
    (layer.temp / "ds2.MIDAS.zip_000361_PS.csv").write_bytes(some.read_bytes())
    (layer.folder / "Radius_StartNr_1_EndNr_9.csv").write_text("of another scan\n")
    assert consolidated.write(layer, per_spot_groups=0).read_bytes() == first
    assert not list(layer.folder.glob("*.part"))
