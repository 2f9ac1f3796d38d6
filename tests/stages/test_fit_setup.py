"""Setup stage: golden tables, docs/theory/fit_setup.md#situations, docs/differences.md#setup-and-binning."""

from __future__ import annotations

import dataclasses
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midas.archive import Archive, ArchiveWriter, set_dataset
from midas.formats import hkls, radius
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO, ID_RINGS, IDS_HASH, INPUT_ALL, SPOTS_TO_INDEX, SpotTables
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import ArchiveError, FormatError, MidasError, ParameterError, StageError
from midas.stages import fit_setup

FRAMES = 5

TEXT = """
Lsd 1000000
BC 1022 1022
px 200
RhoD 204800
Wavelength 0.22291
LatticeParameter 4.08 4.08 4.08 90 90 90
OmegaStep 0.25
MinEta 6
OverAllRingToIndex 2
Rsample 1000
Hbeam 1000
"""

REGION = "OmegaRange -180 180\nBoxSize -1000000 1000000 -1000000 1000000\n"

THETAS = {1: 2.711, 2: 3.131, 3: 4.432, 4: 5.201}


def hkl_table(thetas: dict[int, float] = THETAS) -> Table:
    theta = np.array(list(thetas.values()))
    columns = {name: np.zeros(len(theta)) for name in hkls.LAYOUT.names}
    columns |= {"ring": np.array(list(thetas)), "theta": theta, "two_theta": 2 * theta}
    columns |= {
        "ring_radius": 1e6 * np.tan(np.radians(2 * theta)),
        "d_spacing": 0.22291 / 2 / np.sin(np.radians(theta)),
    }
    return hkls.LAYOUT.rounded(Table.from_columns(hkls.LAYOUT.names, columns))


def peak_table(*spots: dict[str, float]) -> Table:
    """One row per spot; keys: ring, eta, omega, frames, dr (px off the ring), and any column of the Radius file."""
    rows = []
    for number, spot in enumerate(spots, 1):
        ring = int(spot.get("ring", 2))
        distance = 1e6 * np.tan(np.radians(2 * THETAS.get(ring, 6.0))) / 200 + spot.get("dr", 0.0)
        eta = np.radians(spot.get("eta", 45.0))
        row = dict.fromkeys(radius.LAYOUT.names, 0.0)
        row |= {"spot_id": number, "intensity": 100.5 * number, "grain_radius": 10.25 * number}
        row |= {"raw_sum": 1000.0 * number, "frames": 1, "omega_recorded": 0.0, "ring": ring}
        row |= {"y_recorded": 1022 + distance * np.sin(eta), "z_recorded": 1022 + distance * np.cos(eta)}
        row |= {name: value for name, value in spot.items() if name in row}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in radius.LAYOUT.names}
    return radius.LAYOUT.rounded(Table.from_columns(radius.LAYOUT.names, columns))


SOME = peak_table({"ring": 1}, {"ring": 2, "omega_recorded": 20}, {"ring": 2, "omega_recorded": 10, "eta": -100})


@pytest.fixture
def setup(tmp_path: Path) -> Callable[..., Any]:
    """``setup(peaks, "Key value ...")``: an archive and its tables in a folder, and the stage run on them."""

    def run(
        peaks: Table = SOME,
        extra: str = "",
        *,
        rings: tuple[int, ...] = (1, 2),
        region: str = REGION,
        without: tuple[str, ...] = (),
        reflections: Table | None = None,
        frames: tuple[int, int, int] = (FRAMES, 8, 8),
        skipped: int = 0,
        **options: Any,
    ) -> SpotTables:
        layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
        thresholds = "".join(f"RingThresh {ring} 10\n" for ring in rings)
        parameters = Parameters.parse(TEXT + thresholds + region + extra, "ps.txt").without(*without)
        with ArchiveWriter(layer.archive, frames, np.uint16) as writer:
            writer.add_frames("exchange/data", frames, (np.zeros(frames[1:], np.uint16) for _ in range(frames[0])))
            writer.add_parameters(parameters)
        radius.LAYOUT.write(layer.radius(frames[0] - skipped), peaks)
        hkls.LAYOUT.write(layer.hkls, reflections or hkl_table())
        with Archive(layer.archive) as archive:
            parameters = archive.parameters
        return fit_setup.run(layer, parameters, threads=1, **options).data

    return run


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


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
        parameters = archive.parameters
    result = fit_setup.run(layer, parameters, threads=2)
    for file in EXACT:
        assert (folder / file).read_bytes() == (source / file).read_bytes(), file
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


@pytest.mark.parametrize(("low", "high", "seeds"), [(10, 20, [2, 3]), (10.5, 20, [3]), (-180, 180, [2, 3])])
def test_seeds_lie_within_their_omegas(
    setup: Callable[..., SpotTables], low: float, high: float, seeds: list[int]
) -> None:
    # Limits a little wider than the omegas: exactly on them the rounding noise of the wedge decides.
    limits = f"MinOmeSpotIDsToIndex {low - 1e-6}\nMaxOmeSpotIDsToIndex {high + 1e-6}\n"
    assert setup(extra=limits).spots_to_index.tolist() == seeds


def test_seed_ring_must_be_in_use(setup: Callable[..., SpotTables]) -> None:
    with pytest.raises(ParameterError, match="OverAllRingToIndex: 3: must be one of the rings of RingThresh"):
        setup(extra="OverAllRingToIndex 3\n")


def test_unusable_rings_are_ignored(setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture) -> None:
    tables = setup(extra="RhoD 160000\n", rings=(77, 2, 4, 1))
    assert tables.ids_hash["ring"].tolist() == [1, 2]
    assert "ring 4 77 is not in hkls.csv or lies beyond MaxRingRad" in warnings(caplog)
    with pytest.raises(ParameterError, match="names no ring of hkls.csv within MaxRingRad"):
        setup(extra="RhoD 1000\n")


def test_spots_of_other_rings_are_dropped(setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture) -> None:
    tables = setup(peak_table({"ring": 3}, {"ring": 2}, {"ring": 3}, {"ring": 1}))
    assert tables.id_rings["radius_id"].tolist() == [4, 2]
    assert "2 spots on rings that are not in use are dropped" in warnings(caplog)


def test_repeated_ring_counts_once(setup: Callable[..., SpotTables]) -> None:
    tables = setup(rings=(1, 2, 1))
    assert tables.ids_hash["ring"].tolist() == [1, 2]
    assert len(tables.input_all) == 3


def test_order_of_rings_is_that_of_the_hkl_list(setup: Callable[..., SpotTables]) -> None:
    tables = setup(peak_table({"ring": 1}, {"ring": 3}, {"ring": 2}), rings=(3, 2, 1))
    assert tables.ids_hash["ring"].tolist() == [1, 2, 3]
    assert tables.id_rings["radius_id"].tolist() == [1, 3, 2]


def test_spots_on_too_many_frames_are_dropped(
    setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture
) -> None:
    peaks = peak_table({"frames": 4}, {"frames": 3}, {"frames": 3.9}, {"frames": 10, "ring": 1})
    tables = setup(peaks, "MaxNFrames 3\n")
    assert tables.id_rings["radius_id"].tolist() == [2, 3]
    assert tables.ids_hash.columns[:3].T.tolist() == [[1, 1, 1], [2, 1, 3]]
    assert "2 spots on more than 3 frames" in warnings(caplog)


def test_no_limit_on_rings_and_folder_names(tmp_path: Path) -> None:
    thetas = {ring: 1 + ring * 0.01 for ring in range(1, 301)}
    text = TEXT + REGION + "".join(f"RingThresh {ring} 1\n" for ring in thetas)
    folder = tmp_path.joinpath(*["f" * 200] * 6)
    folder.mkdir(parents=True)
    layer = Layer(folder, tmp_path / "scan.MIDAS.zip", folder_text=f"{folder}/")
    with ArchiveWriter(layer.archive, (2, 8, 8), np.uint16) as writer:
        writer.add_frames("exchange/data", (2, 8, 8), [np.zeros((8, 8), np.uint16)] * 2)
    peaks = peak_table(*({"ring": ring} for ring in thetas))
    parameters = Parameters.parse(text, "ps.txt")
    tables = fit_setup.run(layer, parameters, threads=1, hkls=hkl_table(thetas), radius=peaks).data
    assert tables.parameters["RingNumbers"] == tuple(thetas)
    assert tables.parameters["OutputFolder"] == f"{folder}///Output"


def test_times_of_the_read_out_gap(setup: Callable[..., SpotTables]) -> None:
    with pytest.raises(ParameterError, match="tGap: 0.3: must not be the negative of tInt"):
        setup(extra="tInt -0.3\ntGap 0.3\n")
    assert setup(extra="tInt 0\ntGap 0\n").extra_info["omega_recorded"].tolist() == [0, 10, 20]


@pytest.mark.parametrize(("frame", "size"), [((4, 1000), 1000), ((1000, 4), 1000)])
@pytest.mark.parametrize("step", [0.25, -0.25])
def test_read_out_uses_the_longer_side(
    setup: Callable[..., SpotTables], frame: tuple[int, int], size: int, step: float
) -> None:
    tables = setup(extra=f"tInt 0.3\ntGap 0.15\nOmegaStep {step}\n", frames=(2, *frame))
    table = tables.extra_info
    recorded = SOME["omega_recorded"][tables.id_rings.integers("radius_id") - 1]
    shift = 0.15 / 0.45 * step * (1 - np.abs(2 * table["z_recorded"] - size) / size)
    np.testing.assert_allclose(table["omega_recorded"], recorded - shift, atol=6e-6)


def test_limits_without_gap(setup: Callable[..., SpotTables]) -> None:
    etas = np.linspace(10, 170, 40)
    peaks = peak_table(*({"eta": eta, "omega_recorded": o} for eta in etas for o in (-180, 180)))
    table = setup(peaks).extra_info
    assert len(table) == 80
    assert set(table["omega_recorded"]) == {-180.0, 180.0}
    assert (np.abs(table["omega_ideal"]) <= 180).all()


def test_skipped_frames_name_the_radius_file(setup: Callable[..., SpotTables]) -> None:
    assert len(setup(extra="SkipFrame 2\n", skipped=2).input_all) == 3


def test_accepted_regions_pair_up(setup: Callable[..., SpotTables]) -> None:
    peaks = peak_table(
        {"omega_recorded": 5, "eta": 90}, {"omega_recorded": 50, "eta": 90}, {"omega_recorded": 50, "eta": -90}
    )
    ranges = "OmegaRange 0 10\nOmegaRange 40 60\n"
    boxes = "BoxSize -1000000 0 -1000000 1000000\nBoxSize 0 1000000 -1000000 1000000\n"
    tables = setup(peaks, region=ranges + boxes)  # y is negative at eta = 90
    assert (tables.input_all["ring"] > 0).tolist() == [True, False, True]
    assert tables.parameters["OmegaRange"] == ((0, 10), (40, 60))
    with pytest.raises(ParameterError, match="BoxSize: .*has 2 lines, but OmegaRange has 3"):
        setup(peaks, region=ranges + "OmegaRange 70 80\n" + boxes)


def test_the_first_frame_of_a_scan_with_negative_steps_is_in_its_range(setup: Callable[..., SpotTables]) -> None:
    """It is the upper end of the range, as far as the rounding noise of omega lets it."""
    peaks = peak_table(*({"omega_recorded": 60, "eta": eta} for eta in range(10, 170)))
    counts = [
        int((setup(peaks, region=f"OmegaRange -60 {high!r}\n").input_all["ring"] > 0).sum())
        for high in (float(np.nextafter(60, 0)), 60.0, 60.000001)
    ]
    assert counts[0] < counts[1] <= counts[2] == 160


@pytest.mark.parametrize(
    ("region", "accepted"),
    [
        ("OmegaRange 0 10\nOmegaRange 40 60\nBoxSize 0 1000000 -1000000 1000000\n", [False, False, True]),
        ("OmegaRange 40 60\nBoxSize -1 1 -1 1\nBoxSize -1000000 0 -1000000 1000000\n", [False, True, False]),
    ],
)
def test_a_single_row_holds_for_all_of_the_other(
    setup: Callable[..., SpotTables], region: str, accepted: list[bool]
) -> None:
    peaks = peak_table(
        {"omega_recorded": 5, "eta": 90}, {"omega_recorded": 50, "eta": 90}, {"omega_recorded": 50, "eta": -90}
    )
    tables = setup(peaks, region=region)
    assert (tables.input_all["ring"] > 0).tolist() == accepted
    assert len(tables.parameters["OmegaRange"]) == len(tables.parameters["BoxSize"]) == 2


@pytest.mark.parametrize(
    ("region", "accepted", "warning"),
    [
        ("", [True, True, True], "No OmegaRange is given"),
        ("OmegaRange -10000 0\nBoxSize -10000 0 0 0\n", [True, True, True], "No BoxSize is given"),
        ("OmegaRange 0 30\nOmegaRange 30 40\n", [True, False, False], "No BoxSize is given"),
        ("BoxSize -1000000 0 -1000000 1000000\n", [True, True, False], "No OmegaRange is given"),
    ],
)
def test_no_region_means_no_limit(
    setup: Callable[..., SpotTables], caplog: pytest.LogCaptureFixture, region: str, accepted: list[bool], warning: str
) -> None:
    peaks = peak_table(
        {"omega_recorded": 5, "eta": 90}, {"omega_recorded": 50, "eta": 90}, {"omega_recorded": 60, "eta": -90}
    )
    tables = setup(peaks, region=region)
    assert (tables.input_all["ring"] > 0).tolist() == accepted
    assert warning in warnings(caplog)
    assert len(tables.parameters["OmegaRange"]) == len(tables.parameters["BoxSize"]) >= 1


def test_unlimited_region_in_paramstest(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    setup(region="")
    lines = (tmp_path / "paramstest.txt").read_text().splitlines()
    assert "OmegaRange -180.000000 180.000000;" in lines
    assert "BoxSize -1000000000.000000 1000000000.000000 -1000000000.000000 1000000000.000000;" in lines


# What differs from the legacy program


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
    assert [float(fitted.unknown[name][0]) for name in ("tyFit", "tzFit")] == pytest.approx([0, 0], abs=1e-3)
    # The ideal rings are those of the fitted distance, and the spots lie on them.
    ideal = hkl_table()["ring_radius"] * (fitted["Lsd"] / 1e6)
    assert fitted["RingRadii"] == pytest.approx(ideal, rel=1e-12)
    used = tables.input_all.take(tables.input_all["ring"] > 0)
    on_ring = np.array(fitted["RingRadii"])[used.integers("ring") - 1]
    np.testing.assert_allclose(np.hypot(used["y_ideal"], used["z_ideal"]), on_ring, atol=0.2)
    assert "RingRadii are multiplied by" in caplog.text


@pytest.mark.parametrize("name", ["tolLsd", "tolBC", "tolTilts"])
def test_geometry_fit_with_a_fixed_coordinate(setup: Callable[..., SpotTables], name: str) -> None:
    fitted = setup(powder(1000100.0, 1022.1, 1021.9), f"DoFit 1\n{name} 0\n", rings=(1, 2, 3, 4)).parameters
    values = {name: float(fitted.unknown[name][0]) for name in ("LsdFit", "YBCFit", "ZBCFit", "tyFit", "tzFit")}
    fixed = {"tolLsd": ("LsdFit",), "tolBC": ("YBCFit", "ZBCFit"), "tolTilts": ("tyFit", "tzFit")}[name]
    start = {"LsdFit": 1e6, "YBCFit": 1022.0, "ZBCFit": 1022.0, "tyFit": 0.0, "tzFit": 0.0}
    assert {key for key in values if values[key] == start[key]} == set(fixed)
    with pytest.raises(MidasError, match=f"{name}: -1.0: must not be negative"):
        setup(extra=f"DoFit 1\n{name} -1\n")
