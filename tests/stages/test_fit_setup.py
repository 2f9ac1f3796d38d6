"""The setup stage: golden tables, files in memory and on disk, bad input, geometry fit."""

from __future__ import annotations

import dataclasses
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive, set_dataset
from midas.formats import radius
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO, ID_RINGS, IDS_HASH, INPUT_ALL, SPOTS_TO_INDEX, SpotTables
from midas.formats.table import Table
from midas.runtime.errors import ArchiveError, FormatError, MidasError, ParameterError, StageError
from midas.stages import fit_setup

from .sized_peaks import FRAMES, SOME, THETAS, hkl_table, peak_table, warnings

GOLDEN_FRAMES = {"au3": 1440, "ds1": 360, "ds2": 360}
EXACT = ("IDRings.csv", "IDsHash.csv", "SpotsToIndex.csv", "InputAll.csv", "InputAllNoHeader.csv", "paramstest.txt")


def without_last_word(content: bytes) -> list[bytes]:
    return [line.rstrip().rsplit(b" ", 1)[0].rstrip() for line in content.splitlines()[1:]]


@pytest.mark.golden
@pytest.mark.parametrize("name", GOLDEN_FRAMES)
def test_golden(golden: Callable[[str], Path], golden_copy: Callable[..., Path], name: str) -> None:
    source = golden(name)
    table = f"Radius_StartNr_1_EndNr_{GOLDEN_FRAMES[name]}.csv"
    folder = golden_copy(name, "hkls.csv", table)
    layer = Layer(folder, source / f"{name}.MIDAS.zip", folder_text="./")
    with Archive(layer.archive) as archive:
        parameters = archive.parameters.changed(WedgeModel="legacy", TiltModel="legacy")
    result = fit_setup.run(layer, parameters, threads=2)
    for file in EXACT:
        legacy = (source / file).read_bytes()
        # Keys of the new programs follow after all that the legacy ones know.
        appended = b"WedgeModel legacy\nTiltModel legacy\n" if file == "paramstest.txt" else b""
        assert (folder / file).read_bytes() == legacy + appended, file
    # All but the last column, which legacy leaves in the order of the Radius file.
    extra = layer.extra_info.read_bytes()
    assert without_last_word(extra) == without_last_word((source / layer.extra_info.name).read_bytes())
    tables = result.data
    raw_sums = radius.LAYOUT.read(folder / table)["raw_sum"][tables.id_rings.integers("radius_id") - 1]
    accepted = tables.extra_info["ring"] > 0
    np.testing.assert_allclose(tables.extra_info["raw_sum"][accepted], raw_sums[accepted], rtol=0, atol=5.01e-6)
    assert (result.summary["spots"], result.summary["accepted"]) == (len(accepted), accepted.sum())
    assert_equals_files(tables, layer)


def assert_equals_files(tables: SpotTables, layer: Layer) -> None:
    """What the stage hands on is what its files hold."""
    for table, layout, path in (
        (tables.input_all, INPUT_ALL, layer.input_all),
        (tables.extra_info, EXTRA_INFO, layer.extra_info),
        (tables.id_rings, ID_RINGS, layer.id_rings),
        (tables.ids_hash, IDS_HASH, layer.ids_hash),
    ):
        read = layout.read(path)
        assert read.names == table.names
        assert read.columns.tobytes() == table.columns.tobytes(), path.name
    np.testing.assert_array_equal(SPOTS_TO_INDEX.read(layer.spots_to_index)["spot_id"], tables.spots_to_index)
    assert tables.parameters.source == str(layer.paramstest)


def test_tables(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    tables = setup()
    assert tables.id_rings.columns.T.tolist() == [[1, 1, 1], [2, 3, 2], [2, 2, 3]]
    assert tables.ids_hash.columns[:3].T.tolist() == [[1, 1, 2], [2, 2, 4]]
    assert tables.spots_to_index.tolist() == [2, 3]
    assert tables.extra_info["raw_sum"].tolist() == [1000, 3000, 2000]
    assert tables.extra_info["intensity"].tolist() == [100.5, 301.5, 201]
    assert tables.extra_info["grain_radius"].tolist() == [10.25, 30.75, 20.5]
    assert tables.parameters["RingNumbers"] == (1, 2)
    assert (tmp_path / "Output").is_dir()
    assert (tmp_path / "Results").is_dir()
    assert_equals_files(tables, Layer(tmp_path))


def test_threads_and_tables_in_memory_give_the_same_files(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    peaks = peak_table(
        *({"ring": int(r), "eta": e, "omega_recorded": o} for r, e, o in zip(
            random.integers(1, 3, 300), random.uniform(-180, 180, 300), random.uniform(-180, 180, 300), strict=True
        ))
    )  # fmt: skip
    setup(peaks, "Wedge 0.3\ntGap 0.1\n")
    layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
    files = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    with Archive(layer.archive) as archive:
        parameters = archive.parameters
    tables = {"hkls": hkl_table(), "radius": peaks}
    fit_setup.run(layer, parameters, threads=2, **tables)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == files


def test_columns_of_the_tables_agree(setup: Callable[..., SpotTables]) -> None:
    random = np.random.default_rng(2)
    spots = [
        {"ring": int(random.integers(1, 3)), "eta": random.uniform(-180, 180),
         "omega_recorded": random.uniform(-180, 180), "dr": random.normal()} for _ in range(500)
    ]  # fmt: skip
    table = setup(peak_table(*spots), "tx 0.5\nty 0.3\np2 1e-4\n").extra_info
    used = table.take(table["ring"] > 0)
    np.testing.assert_array_equal(table["spot_id"], np.arange(1, 501))
    for one, other in (("y_ideal", "y_plane"), ("z_ideal", "z_plane"), ("omega_ideal", "omega_recorded")):
        np.testing.assert_allclose(used[one], used[other], atol=1.00001e-5)
    np.testing.assert_array_equal(table["omega_recorded"], table["omega_detector"])
    np.testing.assert_allclose(used["eta"], -np.degrees(np.arctan2(used["y_ideal"], used["z_ideal"])), atol=1.6e-5)
    np.testing.assert_allclose(
        np.hypot(used["y_ideal"], used["z_ideal"]), 1e6 * np.tan(np.radians(used["two_theta"])), atol=1e6 * 1e-5
    )
    for ring in (1, 2):
        assert (np.diff(used["omega_recorded"][used["ring"] == ring]) > -0.001).all()


def test_tables_travel_between_ranks(setup: Callable[..., SpotTables]) -> None:
    tables = setup()
    there = pickle.loads(pickle.dumps(tables))
    assert there.extra_info.columns.tobytes() == tables.extra_info.columns.tobytes()
    assert there.parameters["RingRadii"] == tables.parameters["RingRadii"]


# Situations of the theory page


def test_missing_files(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    setup()
    layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
    with Archive(layer.archive) as archive:
        parameters = archive.parameters
    layer.hkls.rename(tmp_path / "away")
    with pytest.raises(FormatError, match=r"hkls\.csv: cannot be read"):
        fit_setup.run(layer, parameters, threads=1)
    assert not layer.paramstest.exists()  # the old one would make the folder look complete
    layer.radius(FRAMES).unlink()
    with pytest.raises(FormatError, match=rf"Radius_StartNr_1_EndNr_{FRAMES}\.csv: cannot be read .*ff-radius"):
        fit_setup.run(layer, parameters, threads=1)
    with pytest.raises(FormatError, match="cannot be read"):
        fit_setup.run(dataclasses.replace(layer, folder=tmp_path / "none"), parameters, threads=1)
    with pytest.raises(ArchiveError):
        fit_setup.run(dataclasses.replace(layer, archive=tmp_path / "none.zip"), parameters, threads=1)
    with pytest.raises(StageError, match="archive"):
        fit_setup.run(dataclasses.replace(layer, archive=None), parameters, threads=1)


@pytest.mark.parametrize(
    "name",
    [
        "Lsd",
        "BC",
        "px",
        "Wavelength",
        "LatticeParameter",
        "RhoD",
        "RingThresh",
        "OverAllRingToIndex",
        "Rsample",
        "Hbeam",
    ],
)
def test_missing_key(setup: Callable[..., SpotTables], tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}: is missing"):
        setup(without=(name,))
    assert not (tmp_path / "InputAll.csv").exists()


def test_step_is_needed_for_the_gap_only(setup: Callable[..., SpotTables]) -> None:
    setup(without=("OmegaStep",))
    with pytest.raises(ParameterError, match="OmegaStep: is missing"):
        setup(extra="tGap 0.1\n", without=("OmegaStep",))


@pytest.mark.parametrize("name", ["Lsd", "px", "RhoD", "Wavelength"])
def test_impossible_number(setup: Callable[..., SpotTables], name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}: -1.0: must be greater than 0"):
        setup(extra=f"{name} -1\n")


def test_other_types_in_the_archive_are_converted(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    region = "OmegaRange -180 180\nOmegaRange -90 15\n" + 2 * "BoxSize -900000 900000 -900000 900000\n"
    expected = setup(extra="Wedge 1\n", region=region)
    layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
    prefix = "analysis/process/analysis_parameters/"
    assert layer.archive is not None
    set_dataset(layer.archive, prefix + "Wedge", np.array([1], np.int32))
    set_dataset(layer.archive, prefix + "OmegaRanges", np.array([[-180, 180], [-90, 15]], np.int64))
    with Archive(layer.archive) as archive:
        tables = fit_setup.run(layer, archive.parameters, threads=1).data
    np.testing.assert_array_equal(tables.input_all.columns, expected.input_all.columns)
    assert tables.parameters["Wedge"] == 1.0


def test_no_spots(setup: Callable[..., SpotTables]) -> None:
    with pytest.raises(StageError, match="no spots in the Radius file"):
        setup(SOME.take(slice(0, 0)))
    with pytest.raises(StageError, match="no spots on the rings in use"):
        setup(peak_table({"ring": 3}))


def test_no_accepted_spots_is_a_warning(setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture) -> None:
    peaks = peak_table(
        {"omega_recorded": 100}, {"eta": 2}, {"eta": 3}, {"ring": 1}, {"eta": 80}, {"eta": 90}, {"eta": 100}
    )
    region = "OmegaRange -50 50\nBoxSize -1000000 1000000 100000 1000000\n"
    limits = "MinOmeSpotIDsToIndex -20\nMaxOmeSpotIDsToIndex 30\n"
    tables = setup(peaks, limits, region=region)
    assert tables.spots_to_index.tolist() == []
    assert tables.parameters["RingNumbers"] == ()
    counts = "rejected by eta: 2, by omega: 1, by the box: 4"
    assert f"none of ring 2 with omega -20 ... 30 is accepted; {counts}" in warnings(caplog)


def test_radii_belong_to_their_rings(setup: Callable[..., SpotTables]) -> None:
    """A ring without accepted spots in between."""
    peaks = peak_table({"ring": 1}, {"ring": 2, "eta": 1}, {"ring": 3}, {"ring": 4})
    parameters = setup(peaks, rings=(1, 2, 3, 4), extra="OverAllRingToIndex 3\n").parameters
    assert parameters["RingNumbers"] == (1, 3, 4)
    ideal = hkl_table()["ring_radius"]
    assert parameters["RingRadii"] == (ideal[0], ideal[2], ideal[3])


def test_raw_sum_follows_its_spot(setup: Callable[..., SpotTables]) -> None:
    """Also when the rows are sorted by omega."""
    peaks = peak_table(*({"omega_recorded": omega} for omega in (30, 10, -20, 40, 0)))
    tables = setup(peaks)
    assert tables.id_rings["radius_id"].tolist() == [3, 5, 2, 1, 4]
    assert tables.extra_info["raw_sum"].tolist() == [3000, 5000, 2000, 1000, 4000]


def test_wedge_across_the_end_of_the_turn(setup: Callable[..., SpotTables]) -> None:
    """Omega comes out at the other end of the turn, not degrees away."""
    etas = [20, -20, 160, -160]
    peaks = peak_table(*({"eta": eta, "omega_recorded": omega} for eta in etas for omega in (-179.9, 179.9)))
    table = setup(peaks, "Wedge 1\n").extra_info
    shift = (table["omega_ideal"] - table["omega_recorded"] + 180) % 360 - 180
    np.testing.assert_allclose(shift, -1 / np.tan(np.radians(table["eta"])), rtol=0.02)
    assert (np.abs(table["omega_ideal"] - table["omega_recorded"]) > 350).sum() == 4


def test_new_keys_are_handed_on(setup: Callable[..., SpotTables]) -> None:
    parameters = setup(extra="RingsToReject 2\nRefineMethod staged\nWriteLegacyBins 0\n").parameters
    assert (parameters["RingsToReject"], parameters["RefineMethod"]) == ((2,), "staged")
    assert parameters["WriteLegacyBins"] == 0
    assert "RefineMethod" not in setup().parameters


def test_space_group_has_a_default(setup: Callable[..., SpotTables]) -> None:
    assert setup().parameters["SpaceGroup"] == 225
    assert setup(extra="SpaceGroup 194\n").parameters["SpaceGroup"] == 194


# Geometry fit


def powder(lsd: float, y_bc: float, z_bc: float) -> Table:
    """Spots on the rings of a detector that stands elsewhere than the parameters say."""
    spots = []
    for ring, theta in THETAS.items():
        for eta in np.arange(-178.0, 180, 3):
            distance = lsd * np.tan(np.radians(2 * theta)) / 200
            y, z = y_bc + distance * np.sin(np.radians(eta)), z_bc + distance * np.cos(np.radians(eta))
            spots.append({"ring": ring, "y_recorded": y, "z_recorded": z})
    return peak_table(*spots)


def test_geometry_fit(setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tables = setup(powder(1000800.0, 1022.3, 1021.6), "DoFit 1\ntolTilts 0.2\n", rings=(1, 2, 3, 4))
    fitted = tables.parameters
    assert fitted["Lsd"] == pytest.approx(1000800, abs=0.5)
    assert [float(fitted.unknown[name][0]) for name in ("YBCFit", "ZBCFit")] == pytest.approx(
        [1022.3, 1021.6], abs=1e-4
    )
    assert [fitted["ty"], fitted["tz"]] == pytest.approx([0, 0], abs=1e-3)
    # The ideal rings are those of the fitted distance, and the spots lie on them.
    ideal = hkl_table()["ring_radius"] * (fitted["Lsd"] / 1e6)
    assert fitted["RingRadii"] == pytest.approx(ideal, rel=1e-12)
    used = tables.input_all.take(tables.input_all["ring"] > 0)
    on_ring = np.array(fitted["RingRadii"])[used.integers("ring") - 1]
    np.testing.assert_allclose(np.hypot(used["y_ideal"], used["z_ideal"]), on_ring, atol=0.2)
    for words in ("RingRadii are multiplied by", "Uncertainties: Lsd ", "Mean deviation from the rings: "):
        assert words in caplog.text


@pytest.mark.parametrize("name", ["tolLsd", "tolBC", "tolTilts"])
def test_geometry_fit_with_a_fixed_coordinate(setup: Callable[..., SpotTables], name: str) -> None:
    fitted = setup(powder(1000100.0, 1022.1, 1021.9), f"DoFit 1\n{name} 0\n", rings=(1, 2, 3, 4)).parameters
    values = {name: float(fitted.unknown[name][0]) for name in ("LsdFit", "YBCFit", "ZBCFit")}
    values |= {"tyFit": fitted["ty"], "tzFit": fitted["tz"]}
    fixed = {"tolLsd": ("LsdFit",), "tolBC": ("YBCFit", "ZBCFit"), "tolTilts": ("tyFit", "tzFit")}[name]
    start = {"LsdFit": 1e6, "YBCFit": 1022.0, "ZBCFit": 1022.0, "tyFit": 0.0, "tzFit": 0.0}
    assert {key for key in values if values[key] == start[key]} == set(fixed)
    with pytest.raises(MidasError, match=f"{name}: -1.0: must not be negative"):
        setup(extra=f"DoFit 1\n{name} -1\n")
