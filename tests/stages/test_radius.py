"""Radius estimation against the legacy runs, and its edge cases (docs/theory/radius.md#situations)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive, ArchiveWriter
from midas.commands import run as cli
from midas.experiment.detector import DetectorGeometry
from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged
from midas.formats import hkls as hkl_format
from midas.formats.layer import Layer
from midas.formats.merged import RESULT
from midas.formats.radius import LAYOUT
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, ParameterError
from midas.stages import radius

FRAMES = 40
#: Radii (µm) of the rings 1, 2, 3 of the small hkl list, and how many reflections each has.
RINGS = {1: (10000.0, 8), 2: (14000.0, 6), 3: (20000.0, 12)}
GIVEN = {"px": 100, "Lsd": 1e6, "Width": 500, "OmegaStep": -0.25, "Vsample": 1e7, "BC": (500.0, 500.0), "RhoD": 1e5}
THREE_RINGS = "RingThresh 1 50\nRingThresh 2 50\nRingThresh 3 50\n"


def parameters(text: str = THREE_RINGS, **values: object) -> Parameters:
    """The usual parameters with some values replaced (None: left out)."""
    given = {key: value for key, value in {**GIVEN, **values}.items() if value is not None}
    return Parameters.parse(text, "ps.txt").changed(**given)


def hkl_table() -> Table:
    rows = [(ring, r + i * 1e-3) for ring, (r, count) in RINGS.items() for i in range(1 - count, 1)]
    columns = {name: np.zeros(len(rows)) for name in hkl_format.LAYOUT.names}
    columns["ring"], columns["ring_radius"] = np.array(rows).T
    return Table.from_columns(hkl_format.LAYOUT.names, columns)


def spot_table(*spots: dict[str, float]) -> Table:
    usual = {
        "intensity": 100.0,
        "omega_recorded": 5.0,
        "min_omega": 4.75,
        "max_omega": 5.0,
        "eta": 60.0,
        "radius": 100.0,
    }
    rows = [usual | {"spot_id": i, "raw_sum": 7.0 * i} | spot for i, spot in enumerate(spots, 1)]
    for row in rows:  # on the detector, beside the beam centre
        row.setdefault("y_recorded", 500.0 + row["radius"])
        row.setdefault("z_recorded", 500.0)
    return Table.from_columns(RESULT.names, {name: [row.get(name, 0.0) for row in rows] for name in RESULT.names})


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    path = tmp_path / "scan.MIDAS.zip"
    with ArchiveWriter(path, (FRAMES, 4, 4), np.uint16) as writer:
        writer.add_frames("exchange/data", (FRAMES, 4, 4), [np.zeros((4, 4), np.uint16)] * FRAMES)
    hkl_format.LAYOUT.write(tmp_path / "hkls.csv", hkl_table())
    return Layer(tmp_path, path)


def run(layer: Layer, values: Parameters, *spots: dict[str, float]) -> Table:
    result = radius.run(layer, values, threads=1, merged=RESULT.rounded(spot_table(*spots)))
    frames = FRAMES - values["SkipFrame"]
    assert np.array_equal(result.data.columns, LAYOUT.read(layer.radius(frames)).columns, equal_nan=True)
    return result.data


@pytest.mark.golden
@pytest.mark.parametrize(("name", "frames"), [("au3", 1440), ("ds1", 360), ("ds2", 360)])
def test_equals_golden(name: str, frames: int, golden_copy: Callable[..., Path]) -> None:
    files = [f"{kind}_StartNr_1_EndNr_{frames}.csv" for kind in ("Result", "Radius")]
    folder = golden_copy(name, f"{name}.MIDAS.zip", "hkls.csv", *files)
    layer = Layer(folder, folder / f"{name}.MIDAS.zip")
    expected = layer.radius(frames).read_bytes()
    with Archive(layer.archive) as archive:
        values = archive.parameters.changed(LegacyDigits=1)
    data = radius.run(layer, values, threads=1).data
    assert layer.radius(frames).read_bytes() == expected
    assert np.array_equal(data.columns, LAYOUT.read(layer.radius(frames)).columns)
    for ring in np.unique(data["ring"]):
        rows = data.take(data["ring"] == ring)
        assert rows["powder_intensity"][0] * frames == pytest.approx(rows["intensity"].sum(), abs=1e-3)
    assert np.allclose(4 * math.pi / 3 * data["grain_radius"] ** 3, data["grain_volume"], rtol=1e-6)


@pytest.mark.golden
def test_numbers_of_the_reference_run(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("au3", "au3.MIDAS.zip", "hkls.csv", "Result_StartNr_1_EndNr_1440.csv")
    layer = Layer(folder, folder / "au3.MIDAS.zip")
    with Archive(layer.archive) as archive:
        values = archive.parameters.changed(LegacyDigits=1)
    rings = Rings.of(values, hkl_format.LAYOUT.read(layer.hkls))
    assert rings.numbers.tolist() == [1, 2, 3, 4, 5]
    assert rings.multiplicities.tolist() == [8, 6, 12, 24, 8]
    assert rings.radii.tolist() == [94949.402022, 109761.671955, 155930.388055, 183469.976227, 191847.142109]
    data = radius.run(layer, values, threads=1).data
    assert [int((data["ring"] == ring).sum()) for ring in range(1, 6)] == [40, 36, 56, 120, 40]
    powder = [data["powder_intensity"][data["ring"] == ring][0] for ring in range(1, 6)]
    assert powder == [1648.624876, 1236.331583, 2474.839706, 4948.397211, 1650.158590]
    assert (data["grain_radius"].min(), data["grain_radius"].max()) == (46.522225, 135.704055)
    first = (
        "1.000000 49446.502274 179.250000 1403.587911 1855.904325 7880.712824 179.250000 179.250000 917.063661 "
        "5.196630 24.588451 0.250000 1.000000 4.000000 2167222.868885 80.279561 4948.397211 0.999905 0.062468 "
        "42.000000 42.000000 49436.000000"
    )
    assert layer.radius(1440).read_text().splitlines()[1] == first


def test_rows_of_a_small_set(layer: Layer) -> None:
    table = run(layer, parameters(), {"radius": 101}, {"radius": 120}, {"radius": 143, "intensity": 60}, {"radius": 99})
    assert table["spot_id"].tolist() == [1, 2, 3]  # the second spot is on no ring
    assert table["raw_sum"].tolist() == [7, 21, 28]
    assert table["ring"].tolist() == [1, 2, 1]
    assert table["powder_intensity"].tolist() == [200 / FRAMES, 60 / FRAMES, 200 / FRAMES]
    assert table["delta_omega"].tolist() == [0.5] * 3
    assert table["frames"].tolist() == [2] * 3
    assert np.allclose(table["theta"], np.degrees(np.arctan(np.array([0.0101, 0.0143, 0.0099]))) / 2, atol=1e-6)


def test_rows_lead_back_to_the_merged_spots(layer: Layer) -> None:
    merged = spot_table({"radius": 500}, {"radius": 120}, {"radius": 101}, {"radius": 141})
    values = parameters(Width=2100)
    data = radius.run(layer, values, threads=1, merged=merged).data
    spots, which = rings_of_merged(distances_from_beam(merged, values), Rings.of(values, hkl_table()))
    assert spots.tolist() == [1, 1, 2, 3]
    assert np.array_equal(merged["radius"][spots], data["radius"])
    assert data["ring"].tolist() == [1, 2, 1, 2]
    assert which.tolist() == [0, 1, 0, 1]


def test_skipped_frames_do_not_count(layer: Layer) -> None:
    table = run(layer, parameters(SkipFrame=10), {"radius": 100})
    assert table["powder_intensity"].tolist() == [round(100 / 30, 6)]
    assert layer.radius(30).exists()


def test_overlapping_bands_double_and_warn(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    table = run(layer, parameters(Width=2001), {"radius": 120})
    assert table["ring"].tolist() == [1, 2]
    assert table["spot_id"].tolist() == [1, 2]
    assert table["powder_intensity"].tolist() == [2.5, 2.5]
    assert "overlap" in caplog.text


def test_rings_in_the_order_of_the_file(layer: Layer) -> None:
    values = parameters("RingThresh 3 1\nRingThresh 1 1\nRingThresh 2 1\n", Width=2001)
    assert run(layer, values, {"radius": 120}, {"radius": 200})["ring"].tolist() == [1, 2, 3]
    values = parameters("RingThresh 2 1\nRingThresh 1 1\n", Width=2001)
    assert run(layer, values, {"radius": 120})["ring"].tolist() == [2, 1]


def test_ring_listed_twice_counts_once(layer: Layer) -> None:
    once = run(layer, parameters(), {"radius": 100}, {"radius": 140})
    twice = run(layer, parameters(THREE_RINGS + "RingThresh 1 90\n"), {"radius": 100}, {"radius": 140})
    assert np.array_equal(once.columns, twice.columns)


def test_absent_ring_matches_nothing_and_warns(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    table = run(layer, parameters("RingThresh 1 1\nRingThresh 17 1\n"), {"radius": 100}, {"radius": 140})
    assert table["ring"].tolist() == [1]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "ring 17" in warnings[0]


def test_last_row_of_a_ring_has_its_radius(layer: Layer) -> None:
    assert Rings.of(parameters(), hkl_table()).radii.tolist() == [r for r, _ in RINGS.values()]


@pytest.mark.parametrize(("given", "rows"), [(None, 0), (-1, 0), (1100, 1)])
def test_width_in_the_ring_test(given: float | None, rows: int, layer: Layer) -> None:
    assert len(run(layer, parameters(WidthTthPx=given), {"radius": 110})) == rows


def test_width_tth_px_makes_width_optional(layer: Layer) -> None:
    assert len(run(layer, parameters(Width=None, WidthTthPx=500), {"radius": 100})) == 1


def test_gauge(layer: Layer) -> None:
    spot = {"radius": 100.0}
    volume = run(layer, parameters(), spot)["grain_volume"][0]
    cylinder = {"Hbeam": 200, "Rsample": 500}
    for vsample in (0, None):
        table = run(layer, parameters(Vsample=vsample, **cylinder), spot)
        assert table["grain_volume"][0] == pytest.approx(volume * 200 * math.pi * 500**2 / 1e7, rel=1e-6)
    disc = run(layer, parameters(DiscModel=1, DiscArea=2e7, **cylinder), spot)
    assert disc["grain_volume"][0] == pytest.approx(2 * volume, rel=1e-6)
    assert disc["grain_radius"][0] == pytest.approx(math.sqrt(2 * volume / math.pi), rel=1e-6)


def test_disc_at_the_pole_is_nan(layer: Layer) -> None:
    run(layer, parameters(DiscModel=1, DiscArea=1e6), {"radius": 100, "eta": 0.0})
    words = layer.radius(FRAMES).read_text().splitlines()[1].split()
    assert words[14].startswith("-")
    assert words[15] == "-nan"


def test_result_of_other_tools(layer: Layer) -> None:
    """SpotID as a decimal number, no RawSumIntensity, a blank line at the end."""
    header = RESULT.header.removesuffix(" RawSumIntensity")
    row = "1.000000 100 5 600 500 9 4.75 5 0.1 0.2 7 8 100 60"
    layer.merged(FRAMES).write_text(f"{header}\n{row}\n\n")
    table = radius.run(layer, parameters(), threads=1).data
    assert table["raw_sum"].tolist() == [0]
    assert table["eta"].tolist() == [60]


def test_nothing_on_any_ring(layer: Layer) -> None:
    layer.merged(FRAMES).write_text(RESULT.header + "\n")
    assert len(radius.run(layer, parameters(), threads=1).data) == 0
    assert layer.radius(FRAMES).read_text() == LAYOUT.header + "\n"
    assert len(run(layer, parameters(), {"radius": 400})) == 0


@pytest.mark.parametrize("tilts", [(3.0, 5.0, -6.0), (30.0, 15.0, -12.0)])
def test_rings_on_a_tilted_detector(tilts: tuple[float, float, float], layer: Layer) -> None:
    """Every spot lies on its ring and has its theta; the raw radius stays in the table, and alone loses spots."""
    values = parameters(Lsd=2e5, Width=100, p0=1e-3, **dict(zip(("tx", "ty", "tz"), tilts, strict=True)))
    detector = DetectorGeometry.from_parameters(values)
    eta = np.repeat(np.arange(-175.0, 180.0, 10.0), len(RINGS))
    true_ring = np.tile(list(RINGS), len(eta) // len(RINGS))
    ring_radius = np.array([RINGS[ring][0] for ring in true_ring])
    y_px, z_px = detector.pixel(np.degrees(np.arctan(ring_radius / 2e5)), eta)
    raw = np.hypot(y_px - 500.0, z_px - 500.0)
    spots = [
        {"y_recorded": y, "z_recorded": z, "radius": r, "eta": e}
        for y, z, r, e in zip(y_px, z_px, raw, eta, strict=True)
    ]
    table = run(layer, values, *spots)
    assert table["ring"].tolist() == true_ring.tolist()
    np.testing.assert_allclose(table["theta"], np.degrees(np.arctan(ring_radius / 2e5)) / 2, atol=2e-6)
    np.testing.assert_allclose(table["radius"], raw, atol=1e-6)
    legacy = run(layer, values.changed(LegacyDigits=1), *spots)
    assert len(legacy) < len(table)
    np.testing.assert_allclose(legacy["theta"], np.degrees(np.arctan(legacy["radius"] * 100 / 2e5)) / 2, atol=2e-6)


# Bad input: no output under its final name, and the culprit named


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("Width", {"Width": None}),
        ("Width", {"Width": 0}),
        ("WidthTthPx", {"WidthTthPx": -2}),
        ("Lsd", {"Lsd": None}),
        ("Lsd", {"Lsd": 0}),
        ("px", {"px": None}),
        ("px", {"px": -1}),
        ("BC", {"BC": None}),
        ("OmegaStep", {"OmegaStep": None}),
        ("OmegaStep", {"OmegaStep": 0}),
        ("Hbeam", {"Vsample": None, "Rsample": 500}),
        ("Rsample", {"Vsample": 0, "Hbeam": 500}),
        ("RingThresh", {"text": ""}),
        ("SkipFrame", {"SkipFrame": FRAMES}),
    ],
)
def test_parameter_is_named(key: str, values: dict, layer: Layer) -> None:
    layer.radius(FRAMES).write_text("of an earlier run")
    with pytest.raises(ParameterError, match=key):
        radius.run(layer, parameters(**values), threads=1, merged=spot_table({}))
    assert key == "SkipFrame" or not layer.radius(FRAMES).exists()
    assert not list(layer.folder.glob("*.part"))


@pytest.mark.parametrize("name", ["hkls.csv", f"Result_StartNr_1_EndNr_{FRAMES}.csv"])
def test_missing_input_is_named(name: str, layer: Layer) -> None:
    RESULT.write(layer.merged(FRAMES), spot_table({}))
    (layer.folder / name).unlink()
    with pytest.raises(FormatError, match=name):
        radius.run(layer, parameters(), threads=1)
    assert not layer.radius(FRAMES).exists()


@pytest.mark.parametrize("name", ["hkls.csv", f"Result_StartNr_1_EndNr_{FRAMES}.csv"])
def test_malformed_input_is_named(name: str, layer: Layer) -> None:
    RESULT.write(layer.merged(FRAMES), spot_table({}))
    with (layer.folder / name).open("a") as stream:
        stream.write("1 2 three\n")
    with pytest.raises(FormatError, match=rf"{name}, line \d+"):
        radius.run(layer, parameters(), threads=1)


def test_command_errors_are_one_line(layer: Layer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [
        ([str(tmp_path / "missing.zip"), str(tmp_path)], "missing.zip"),
        ([str(layer.archive)], "ResultFolder"),
        ([str(layer.archive), str(tmp_path / "nowhere")], "nowhere"),
        ([str(layer.archive), str(tmp_path)], "OmegaStep"),
    ]
    for arguments, culprit in cases:
        assert cli.run("CalcRadiusAllZarr", arguments) == 1
        error = capsys.readouterr().err
        assert culprit in error
        assert error.count("\n") == 1
