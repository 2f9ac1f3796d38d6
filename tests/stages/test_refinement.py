"""The refinement stage on layers made by hand (docs/theory/refinement.md)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from simulated_grains import lattice_errors

from midas.formats import index
from midas.formats.binary import numbers
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.index import SLOT
from midas.runtime.errors import FormatError, MidasError, OutputError, ParameterError, StageError, UsageError
from midas.runtime.parallel import Communicator

from .indexed_layer import PARAMETERS, Made, contents


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_a_layer_gives_its_grains(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result = made.run()
    position, rotation, strain = lattice_errors(result.data.orient_pos_fit, made.grains)
    assert position.max() < 1e-4 and np.abs(rotation).max() < 1e-6 and np.abs(strain).max() < 1e-8
    assert result.data.key.tolist() == [[i, len(rows)] for i, rows in zip(made.ids, made.lists, strict=True)]
    assert result.data.column("grain_radius").tolist() == [40.0] * 4
    assert result.data.column("completeness").tolist() == [1.0] * 4
    assert result.summary == {"seeds": 4, "refined": 4}
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("SpotID")]
    x, y, z = made.grains.positions[1]
    start = f"SpotID {made.ids[1]:6d},      1 out of      4, Errors:    0.00 0.0000 0.0000, Fitvals: "
    assert lines[1].startswith(start + f"Pos: {x:7.2f} {y:7.2f} {z:7.2f}, Orient: ")


def test_inputs_in_memory_equal_those_of_the_files(made: Made) -> None:
    from_files = made.run().data
    indexed = index.read(made.layer.index_best, made.layer.index_best_full)
    for path in (made.layer.extra_info_binary, made.layer.index_best, made.layer.index_best_full):
        path.unlink()
    made.layer.spots_to_index.unlink()
    hkls = HKLS.read(made.layer.hkls)
    made.layer.hkls.unlink()
    result = made.run(seeds=np.array(made.ids), indexed=indexed, extra_info=made.table(), hkls=hkls)
    assert (result.data.orient_pos_fit == from_files.orient_pos_fit).all()
    part = made.run(
        seeds=np.array(made.ids), indexed=indexed, extra_info=made.table(), hkls=hkls, comm=Communicator(1, 2)
    )
    assert (part.data.orient_pos_fit == from_files.orient_pos_fit[2:]).all()


@pytest.mark.parametrize("row", [0, 1, 3])
def test_a_seed_that_was_not_indexed_has_the_key_0_0(made: Made, row: int) -> None:
    made.lists[row] = np.empty(0, int)
    made.write()
    result = made.run()
    assert result.data.key[row].tolist() == [0, 0]
    assert np.count_nonzero(result.data.key[:, 0]) == 3
    assert np.fromfile(made.layer.key, "<i4").reshape(-1, 2).tolist() == result.data.key.tolist()
    last = 2 if row == 3 else 3
    assert made.layer.orient_pos_fit.stat().st_size == 216 * (last + 1)
    assert made.layer.process_key.stat().st_size == 20000 * last + 4 * len(made.lists[last])
    assert made.layer.fit_best.stat().st_size == 880000 * last + 176 * len(made.lists[last])


def test_nothing_indexed(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    made.run()
    made.lists = [np.empty(0, int)] * 4
    made.write()
    result = made.run()
    assert "Nothing was found during indexing" in caplog.text
    assert made.layer.key.read_bytes() == bytes(32)
    assert [c is None for c in contents(made.folder)] == [False, True, True, True]
    assert result.summary == {"seeds": 4, "refined": 0}


def test_a_short_index_leaves_the_rows_behind_it_without_result(made: Made) -> None:
    os.truncate(made.layer.index_best, 240)
    assert made.run().data.key[:, 0].tolist() == [*made.ids[:2], 0, 0]


def test_unknown_spots_are_left_out(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    made.lists[0][3:5] = [10**6, 0]
    made.lists[1][:] = 10**6 + 1
    made.write()
    result = made.run()
    assert result.data.key[0].tolist() == [made.ids[0], len(made.lists[0]) - 2]
    assert result.data.key[1].tolist() == [0, 0]
    assert "not in the spot table" in caplog.text and str(made.ids[1]) in caplog.text


@pytest.mark.parametrize("method", ["joint", "converged"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_spot_that_is_lost_takes_no_other_with_it(made: Made, method: str, at: int) -> None:
    """It is the foreign one that leaves the list, wherever it stands, and not as many of the last ones."""
    made.parameters += f"RefineMethod {method}\n"
    own, (foreign, *_) = made.lists[0], made.lists[1]
    made.lists[0] = np.insert(own, at, foreign)
    made.write()
    result = made.run()
    assert result.data.key[0].tolist() == [made.ids[0], len(own)]
    assert np.fromfile(made.layer.process_key, "<i4", len(own)).tolist() == own.tolist()


def test_seed_ids_that_occur_twice_each_have_their_row(made: Made) -> None:
    made.ids[2] = made.ids[0]
    made.write()
    result = made.run()
    assert result.data.key[:, 0].tolist() == made.ids
    assert lattice_errors(result.data.orient_pos_fit, made.grains)[0].max() < 1e-4


def test_more_spots_than_a_slot_holds(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    made.lists[1] = np.resize(made.lists[1], SLOT + 1)
    made.write()
    result = made.run()
    assert result.data.key[:, 0].tolist() == [made.ids[0], 0, *made.ids[2:]]
    assert f"more than {SLOT} spots" in caplog.text and str(made.ids[1]) in caplog.text
    made.lists[1] = made.lists[1][:SLOT]
    made.write()
    assert made.run().data.key[1].tolist() == [made.ids[1], SLOT]


def test_a_seed_whose_spots_lie_elsewhere(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    made.grains.start_orientations[1] = made.grains.start_orientations[0]
    made.write()
    assert made.run().data.key[1].tolist() == [0, 0]
    assert "no spot that the found orientation explains" in caplog.text


def test_old_longer_results_do_not_survive(made: Made) -> None:
    made.run()
    expected = contents(made.folder)
    made.lists = [np.resize(rows, 300) for rows in made.lists]
    made.write()
    made.run()
    assert contents(made.folder) != expected
    made.lists = [rows[: np.count_nonzero(made.spots.grain == i)] for i, rows in enumerate(made.lists)]
    made.write()
    made.run()
    assert contents(made.folder) == expected
    shorter = made.run(seed_count=2)
    assert made.layer.key.stat().st_size == 16 and len(shorter.data.key) == 2
    for rank in (0, 1):
        made.run(comm=Communicator(rank, 2))
    assert contents(made.folder) == expected


def test_the_keys_of_a_run_that_fails_are_not_those_of_an_earlier_one(made: Made) -> None:
    made.run()
    made.layer.fit_best.unlink()
    made.layer.fit_best.mkdir()
    with pytest.raises(OutputError, match=r"FitBest\.bin"):
        made.run(comm=Communicator(0, 2))
    assert made.layer.key.read_bytes()[:16] == bytes(16)


def test_a_results_folder_that_cannot_be(made: Made) -> None:
    made.layer.results.write_text("a file")
    with pytest.raises(OutputError):
        made.run()


def test_tracking_writes_the_matrix_of_the_seed(made: Made) -> None:
    made.grains.start_orientations = made.grains.orientations.reshape(-1, 9).round(6)
    made.grains.start_positions = made.grains.positions
    made.parameters += "GrainsFile Grains.csv\n"
    made.write()
    made.layer.spots_to_index.write_text("".join(f"{i} {g}\n" for g, i in enumerate([*made.ids[:3], -1])))
    result = made.run().data
    assert result.key[:, 0].tolist() == [*made.ids[:3], 0]
    assert (result.column("orientation")[:3] == made.grains.start_orientations[:3]).all()
    assert (result.column("position")[:3] == made.grains.positions[:3]).all()
    assert np.abs(result.column("cell")[:3] / made.grains.cells[:3] - 1).max() < 5e-6


def test_rings_without_a_say_in_the_radius(made: Made) -> None:
    pairs = np.memmap(made.layer.index_best_full, "<f8", "r+", shape=(4, SLOT, 2))
    ring = made.spots.group[made.lists[0] - 1] + 1
    pairs[0, : len(ring), 1] = 10.0 * ring
    pairs.flush()
    made.layer.paramstest.write_text(PARAMETERS + "RingsToReject 1\nRingsToReject 3\n")
    kept = ring[~np.isin(ring, [1, 3])]
    assert made.run().data.column("grain_radius")[0] == pytest.approx(10 * kept.mean(), abs=1e-9)
    made.layer.paramstest.write_text(PARAMETERS + "RingsToReject 5\nTakeGrainMax 1\n")
    assert made.run().data.column("grain_radius")[0] == 40.0


def test_fewer_seeds_than_rows(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    assert len(made.run(seed_count=3).data.key) == 3
    assert "the smaller number counts" in caplog.text
    assert len(made.run(seed_count=9).data.key) == 4
    with pytest.raises(UsageError, match="nSpotsToIndex"):
        made.run(seed_count=-1)


def test_detector_mask(made: Made) -> None:
    side = 2048
    made.layer.paramstest.write_text(PARAMETERS + f"BigDetSize {side}\n")
    with pytest.raises(FormatError, match=r"BigDetectorMask\.bin"):
        made.run()
    live = np.zeros((side, side), bool)
    live[side // 2 :] = True  # the upper half, z >= 0 in the convention of the file
    made.layer.detector_mask.write_bytes(np.packbits(live, bitorder="little").tobytes())
    result = made.run().data
    up = result.fit_best["z_predicted"] > 0
    assert up.all() and 0 < len(up) < sum(map(len, made.lists))
    made.layer.detector_mask.write_bytes(bytes(400))
    with pytest.raises(FormatError, match="too few"):
        made.run()


# Bad input
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("hkls.csv", None, "ff-hkls"),
        ("hkls.csv", b"h k l\n1 x 1\n", "line 2"),
        ("SpotsToIndex.csv", None, "ff-setup"),
        ("SpotsToIndex.csv", b"", "no seeds"),
        ("SpotsToIndex.csv", b"12\nx\n", "line 2"),
        ("ExtraInfo.bin", None, "ff-bin"),
        ("ExtraInfo.bin", bytes(100), "cut off"),
        ("ExtraInfo.bin", b"", "no spots"),
        ("Output/IndexBest.bin", None, "ff-index"),
        ("Output/IndexBest.bin", bytes(100), "cut off"),
        ("Output/IndexBest.bin", np.full(60, -1.0).tobytes(), "matched spots"),
        ("Output/IndexBest.bin", np.full(60, np.nan).tobytes(), "matched spots"),
        ("Output/IndexBestFull.bin", None, "ff-index"),
        ("Output/IndexBestFull.bin", bytes(80000), "ends before slot"),
    ],
)
def test_missing_and_broken_files(made: Made, name: str, content: bytes | None, message: str) -> None:
    path = made.folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MidasError, match=message) as error:
        made.run()
    assert isinstance(error.value, (FormatError, StageError))
    assert path.name in str(error.value)
    assert not made.layer.key.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Wavelength 0.22291\n", "", "Wavelength"),
        ("LatticeParameter 4.08 4.08 4.08 90 90 90\n", "", "LatticeParameter"),
        ("Distance 1000000\n", "", "Lsd"),
        ("MaxRingRad 204800\n", "", "RhoD"),
        ("Rsample 2000\n", "", "Rsample"),
        ("Hbeam 2000\n", "Hbeam -1\n", "Hbeam"),
        ("Distance 1000000\n", "Distance 0\n", "greater than 0"),
        ("px 200\n", "BigDetSize 64\n", "px"),
        ("px 200\n", "OmegaRange -90 0\nOmegaRange 0 90\n" + 3 * "BoxSize -1 1 -1 1\n", "OmegaRange has 2"),
        ("MargABC 4.8\n", "MargABC -1\n", "MargABC"),
    ],
)
def test_bad_parameters(made: Made, old: str, new: str, message: str) -> None:
    made.layer.paramstest.write_text(PARAMETERS.replace(old, new))
    with pytest.raises(ParameterError, match=message):
        made.run()
    assert not made.layer.key.exists()


def test_no_rings(made: Made) -> None:
    text = "".join(line + "\n" for line in PARAMETERS.splitlines() if "RingNumbers" not in line)
    made.layer.paramstest.write_text(text)
    with pytest.raises(ParameterError, match="RingNumbers"):
        made.run()
    made.layer.paramstest.write_text(text + "RingNumbers 77\n")
    with pytest.raises(FormatError, match="77"):
        made.run()


def test_results_of_other_seeds_are_refused(made: Made) -> None:
    paths = made.layer.index_best, made.layer.index_best_full
    with pytest.raises(ValueError, match="rows"):
        made.run(indexed=index.read(*paths, range(3)))
    # More rows than seeds: the indexer's slots when it tracks fewer grains than there were seeds.
    whole = made.run(indexed=index.read(*paths, range(9))).data
    part = made.run(indexed=index.read(*paths, range(2, 4)), comm=Communicator(1, 2)).data
    assert (part.orient_pos_fit == whole.orient_pos_fit[2:]).all()


def test_without_pixel_size_or_limits(made: Made) -> None:
    """σ_r falls back to 30 µm; absent ranges and boxes are no limit, one of the two alone leaves the other open."""
    expected = numbers(made.run().data.orient_pos_fit)
    made.layer.paramstest.write_text(PARAMETERS.replace("px 200\n", ""))
    assert numbers(made.run().data.orient_pos_fit) == pytest.approx(expected, abs=1e-6)
    made.layer.paramstest.write_text(PARAMETERS + "OmegaRange -180 180\n")
    assert numbers(made.run().data.orient_pos_fit) == pytest.approx(expected, abs=1e-6)
    made.layer.paramstest.write_text(PARAMETERS + "BoxSize -1000000 0 -1000000 1000000\n")
    assert (made.run().data.fit_best["y_predicted"] < 0).all()
