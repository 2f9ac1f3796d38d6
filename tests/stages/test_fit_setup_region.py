"""The setup stage: which peaks become spots and seeds - rings, frames, read-out, region."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import ArchiveWriter
from midas.formats.layer import Layer
from midas.formats.spots import SpotTables
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError
from midas.stages import fit_setup

from .sized_peaks import FRAMES, REGION, SOME, TEXT, hkl_table, peak_table, warnings


@pytest.mark.parametrize(
    ("low", "high", "seeds"),
    [(10, 20, [2, 3]), (10.5, 20, [3]), (-180, 180, [2, 3]), (0, 360, [2, 3]), (350, 375, [2]), (-350, -340, [2, 3])],
)
def test_seeds_lie_within_their_omegas(
    setup: Callable[..., SpotTables], low: float, high: float, seeds: list[int]
) -> None:
    # Limits a little wider than the omegas: exactly on them the rounding noise of the wedge decides.
    limits = f"MinOmeSpotIDsToIndex {low - 1e-6}\nMaxOmeSpotIDsToIndex {high + 1e-6}\n"
    assert setup(extra=limits).spots_to_index.tolist() == seeds


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_ranges_are_angles(setup: Callable[..., SpotTables], turn: float) -> None:
    region = f"OmegaRange {170 + turn} {200 + turn}\nBoxSize -1000000 1000000 -1000000 1000000\n"
    peaks = peak_table(*({"omega_recorded": omega} for omega in (175.0, 185.0, -170.0, 169.0, 201.0, -165.0)))
    tables = setup(peaks, region=region)
    accepted = tables.id_rings["radius_id"][tables.extra_info["ring"] > 0]
    assert sorted(accepted) == [1, 2, 3, 6]
    assert (np.abs(tables.extra_info["omega_recorded"]) <= 180).all()


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


@pytest.mark.parametrize(
    ("extra", "frames", "counted"),
    [
        ("BC 811 32\n", (FRAMES, 64, 64), (1, 2, 3)),
        ("BC 811 32\nRingThresh 3 0\n", (FRAMES, 64, 64), (1, 2)),
        ("BC 811 32\nMinEta 85\n", (FRAMES, 64, 64), (3,)),  # eta is 90 there, and elsewhere for the spots
        ("BC 1022 32\n", (FRAMES, 64, 64), (1, 2)),  # on the left of the ring
        ("BC 32 811\nMinEta 85\n", (FRAMES, 64, 64), ()),
        ("BC 787 32\n", (FRAMES, 64, 16), (1, 2, 3)),
        ("BC 787 32\nImTransOpt 1\n", (FRAMES, 64, 16), (1, 2)),  # the padding is where the ring is
    ],
)
def test_rings_without_spots_count_where_they_can_be_seen(
    setup: Callable[..., SpotTables],
    caplog: pytest.LogCaptureFixture,
    extra: str,
    frames: tuple[int, int, int],
    counted: tuple[int, ...],
) -> None:
    """Rings 1 and 2 have spots; ring 3 has a radius of 780 px, ring 4 of 918."""
    tables = setup(SOME, extra, rings=(1, 2, 3, 4), frames=frames)
    assert tables.parameters["RingNumbers"] == counted
    radii = hkl_table()["ring_radius"]
    assert tables.parameters["RingRadii"] == tuple(radii[ring - 1] for ring in counted)
    said = warnings(caplog)
    assert ("ring 3 is without spots" in said) == (3 in counted)
    assert "ring 4" not in said


def test_a_box_decides_whether_an_empty_ring_counts(setup: Callable[..., SpotTables]) -> None:
    region = "OmegaRange -180 180\nBoxSize -1000000 0 -1000000 1000000\n"
    tables = setup(SOME, "BC 811 32\n", rings=(1, 2, 3), frames=(FRAMES, 64, 64), region=region)
    assert 3 not in tables.parameters["RingNumbers"]


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
    box = "BoxSize -1e6 1e6 -1e6 1e6\n"
    counts = [
        int((setup(peaks, region=f"{box}OmegaRange -60 {high!r}\n").input_all["ring"] > 0).sum())
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


#: of a detector that all rings of the peaks lie on, and angles 40 ... 60 degrees
WHOLE = {"frames": (2, 2048, 2048), "extra": "OmegaStart 40\nOmegaStep 10\n"}
NO_BOX = (-1e9, 1e9, -1e9, 1e9)


@pytest.mark.parametrize(
    ("region", "accepted", "ranges"),
    [
        ("", [False, True, True], ((40, 60),)),
        ("OmegaRange -10000 0\nBoxSize -10000 0 0 0\n", [False, True, True], ((40, 60),)),
        ("OmegaRange 0 30\nOmegaRange 30 40\n", [True, False, False], ((0, 30), (30, 40))),
        ("BoxSize -1000000 0 -1000000 1000000\n", [False, True, False], ((40, 60),)),
    ],
)
def test_no_region_means_what_was_measured(
    setup: Callable[..., SpotTables],
    caplog: pytest.LogCaptureFixture,
    region: str,
    accepted: list[bool],
    ranges: tuple[tuple[float, float], ...],
) -> None:
    peaks = peak_table(
        {"omega_recorded": 5, "eta": 90}, {"omega_recorded": 50, "eta": 90}, {"omega_recorded": 60, "eta": -90}
    )
    tables = setup(peaks, region=region, **WHOLE)
    assert (tables.input_all["ring"] > 0).tolist() == accepted
    assert "given" not in warnings(caplog).replace("OmegaStep given before", "")
    assert tables.parameters["OmegaRange"] == ranges
    if "BoxSize -1000000" not in region:
        assert tables.parameters["BoxSize"] == (NO_BOX,) * len(ranges)


def test_region_of_the_scan_in_paramstest(setup: Callable[..., SpotTables], tmp_path: Path) -> None:
    setup(region="", **WHOLE)
    lines = (tmp_path / "paramstest.txt").read_text().splitlines()
    assert "OmegaRange 40.000000 60.000000;" in lines
    assert "BoxSize -1000000000.000000 1000000000.000000 -1000000000.000000 1000000000.000000;" in lines


@pytest.mark.parametrize(("start", "step"), [(-180, 1), (180, -1), (0, 1.5)])
def test_a_full_turn_has_no_ends(setup: Callable[..., SpotTables], tmp_path: Path, start: float, step: float) -> None:
    setup(region="BoxSize -1e6 1e6 -1e6 1e6\n", frames=(360, 4, 4), extra=f"OmegaStart {start}\nOmegaStep {step}\n")
    assert "OmegaRange -180.000000 180.000000;" in (tmp_path / "paramstest.txt").read_text().splitlines()


def test_a_detector_that_cuts_the_rings_is_the_box(setup: Callable[..., SpotTables]) -> None:
    """A frame of 1200 columns and 1100 rows, flipped in a square of 1200: BC 1022 leaves little beyond the beam."""
    extra = WHOLE["extra"] + "ImTransOpt 2\n"
    peaks = peak_table(*({"omega_recorded": 50, "eta": eta} for eta in (90, -90, 20, 160)))
    tables = setup(peaks, region="", extra=extra, frames=(2, 1100, 1200))
    half = 200 * 0.5
    expected = (-(1199 - 1022) * 200 - half, 1022 * 200 + half, (100 - 1022) * 200 - half, (1199 - 1022) * 200 + half)
    np.testing.assert_allclose(tables.parameters["BoxSize"], [expected], atol=1e-6)


# What differs from the legacy program


@pytest.mark.parametrize(("model", "accepted", "seeds"), [("exact", [2, 3], [2]), ("legacy", [3, 4], [3])])
def test_limits_are_those_of_recorded_spots(
    setup: Callable[..., SpotTables], model: str, accepted: list[int], seeds: list[int]
) -> None:
    """At eta 45 degrees omega without the wedge is 2 degrees less; only the legacy model compares that."""
    peaks = peak_table(*({"ring": 1, "eta": 45, "omega_recorded": omega} for omega in (-0.5, 1.5, 19.5, 20.5)))
    limits = "MinOmeSpotIDsToIndex 0\nMaxOmeSpotIDsToIndex 18\n"
    region = "OmegaRange 0 20\nBoxSize -1000000 1000000 -1000000 1000000\n"
    tables = setup(peaks, f"Wedge 2\nWedgeModel {model}\nOverAllRingToIndex 1\n{limits}", region=region)
    spots = tables.extra_info
    assert (np.flatnonzero(spots["ring"]) + 1).tolist() == accepted
    assert tables.spots_to_index.tolist() == seeds
    used = spots.take(spots["ring"] > 0)
    np.testing.assert_allclose(used["omega_ideal"] - used["omega_recorded"], -2, atol=0.01)
    assert (used["z_ideal"] - used["z_plane"] > 100).all() == (model == "exact")
    assert tables.parameters["WedgeModel"] == model
