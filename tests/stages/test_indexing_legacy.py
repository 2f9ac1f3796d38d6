"""The indexing stage against the legacy runs, in blocks, and with given grains.

See docs/theory/indexing.md#checks-on-a-result.
"""

from __future__ import annotations

import logging
import shutil
import threading

import numpy as np
import pytest

from midas.formats import index
from midas.formats.binary import numbers
from midas.formats.hkls import LAYOUT
from midas.formats.index import IndexedSeeds
from midas.formats.spots import SPOTS_BINARY
from midas.formats.table import Table
from midas.runtime.errors import FormatError
from midas.runtime.files import remove
from midas.runtime.parallel import Communicator
from midas.stages import indexing

from .golden_seeds import files, keep_spots, parameters, prepared, run

# ---------------------------------------------------------------- legacy runs


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_both_files_equal_the_legacy_ones(golden, golden_copy, name):
    layer = prepared(golden_copy, name)
    result = run(layer, threads=2, LegacyDigits=1)
    for path in (layer.index_best, layer.index_best_full):
        assert path.read_bytes() == (golden(name) / "Output" / path.name).read_bytes()
    again = index.read(layer.index_best, layer.index_best_full)
    for field in ("best", "offsets", "ids", "radii"):
        np.testing.assert_array_equal(getattr(result.data, field), getattr(again, field))
    assert result.summary["indexed"] == np.count_nonzero(again.column("matched"))


@pytest.mark.golden
def test_anchors(golden_copy):
    data: IndexedSeeds = run(prepared(golden_copy)).data
    matrix = [0.974345523, 0.119579106, -0.19066106, 0.0448877691, 0.726890554, 0.685284766, 0.220535463, -0.676262493]
    np.testing.assert_allclose(data.best["orientation"][0, :8], matrix, atol=5e-10)
    anchors = {
        0: (0.0727502892, (49.1127536, -0.491445841, 11.7449475), 116, [26, 6, 27, 5, 28, 13]),
        1: (0.0621712019, (-12.8108021, 0.289746887, -1.68078362), 112, [22, 3, 24, 1, 30, 11]),
        9: (0.0776845162, (0.157112833, 1.77680129, -0.865111389), 116, [14, 36, 15, 35, 26, 6]),
    }
    for slot, (angle, position, n, ids) in anchors.items():
        assert data.best["internal_angle"][slot] == pytest.approx(angle, abs=5e-11)
        np.testing.assert_allclose(data.best["position"][slot], position, rtol=1e-8)
        assert data.best[["expected", "matched"]][slot].tolist() == (n, n)
        assert list(data.ids[data.spots(slot)][:6]) == ids
    assert data.radii[0] == pytest.approx(107.31023, abs=5e-6)


@pytest.mark.golden
def test_threads_and_blocks_change_nothing(golden_copy):
    layer = prepared(golden_copy)
    run(layer)
    whole = files(layer)
    run(layer, threads=4)
    assert files(layer) == whole
    for order, size in (((3, 1, 2, 0), 4), ((1, 0), 2)):
        remove(layer.index_best, layer.index_best_full)
        parts = {rank: run(layer, comm=Communicator(rank, size), seed_count=18).data for rank in order}
        assert files(layer) == whole
        assert sum(len(part) for part in parts.values()) == 18
    run(layer, comm=Communicator(7, 8), seed_count=5)  # an empty block


@pytest.mark.golden
def test_members_that_can_wait_share_the_files(golden_copy):
    """Two members in two threads that meet at a barrier, as MPI ranks would."""
    layer = prepared(golden_copy)
    run(layer)
    whole = files(layer)
    meeting = threading.Barrier(2, timeout=60)

    class Connected(Communicator):
        connected = True

        def barrier(self) -> None:
            meeting.wait()

    failures: list[BaseException] = []

    def member(rank: int) -> None:
        try:
            run(layer, comm=Connected(rank, 2))
        except BaseException as error:
            failures.append(error)
            meeting.abort()

    members = [threading.Thread(target=member, args=(rank,)) for rank in range(2)]
    for thread in members:
        thread.start()
    for thread in members:
        thread.join()
    assert not failures
    assert files(layer) == whole
    assert sorted(path.name for path in layer.output.iterdir()) == [
        "IndexBest.bin", "IndexBest.marks", "IndexBestFull.bin",
    ]  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("count", [4, 25])
def test_the_seed_count_fixes_the_size(golden_copy, count):
    layer = prepared(golden_copy)
    whole = run(layer).data
    data = run(layer, seed_count=count).data
    assert [len(content) for content in files(layer)] == [count * 120, count * 80000]
    np.testing.assert_array_equal(data.best[:18], whole.best[:count])
    assert not numbers(data.best)[18:].any()


@pytest.mark.golden
def test_inputs_in_memory_equal_the_files(golden_copy):
    layer = prepared(golden_copy)
    data = run(layer).data
    tables = {
        "hkls": LAYOUT.read(layer.hkls),
        "spots": Table(SPOTS_BINARY, np.fromfile(layer.spots_binary).reshape(-1, 9).T),
        "seeds": np.loadtxt(layer.spots_to_index, dtype=int),
    }
    p = parameters(layer)
    for path in (layer.hkls, layer.spots_binary, layer.spots_to_index):
        path.unlink()
    again = indexing.run(layer, p, threads=1, **tables).data
    np.testing.assert_array_equal(again.best, data.best)
    np.testing.assert_array_equal(again.ids, data.ids)


@pytest.mark.golden
def test_without_friedel_mates_the_mixed_list_serves(golden_copy):
    layer = prepared(golden_copy)
    ids = np.loadtxt(layer.spots_to_index, dtype=int)
    keep_spots(layer, lambda spots: (spots[:, 2] <= 0) | np.isin(spots[:, 4], ids))
    mixed = run(layer, Completeness=0.3).data
    assert mixed.found.sum() >= 10
    start = np.fromfile(layer.spots_binary).reshape(-1, 9)[ids - 1]
    keep_spots(layer, lambda spots: spots[:, 4] == ids[0])
    assert start[0, 5] > 0
    assert not run(layer, Completeness=0.3).data.found.any()
    assert not any(files(layer)[0])


@pytest.mark.golden
def test_excluded_rings_count_in_the_record_only(golden_copy):
    layer = prepared(golden_copy)
    whole = run(layer).data
    keep_spots(layer, lambda spots: spots[:, 5] != 3)
    assert not run(layer, Completeness=0.95).data.found.any()
    excluded = run(layer, Completeness=0.95, RingsToExcludeFraction=(3,)).data
    assert excluded.found.all()
    np.testing.assert_array_equal(excluded.column("expected"), whole.column("expected"))
    assert (excluded.column("matched") < 0.95 * excluded.column("expected")).all()


@pytest.mark.golden
@pytest.mark.long
def test_full_mode_equals_the_literal_search(golden_copy):
    """Three start spots, coarse steps; 21 ring points are visited."""
    from tests._ext.index.reference import Reference

    layer = prepared(golden_copy)
    (layer.spots_to_index).write_text("50\n54\n59\n")
    p = parameters(
        layer, UseFriedelPairs=0, StepSizePos=400.0, StepSizeOrient=0.5, MarginEta=1000.0, MarginOme=1.0,
        OmeBinSize=0.5, EtaBinSize=0.5,
    )  # fmt: skip
    data = indexing.run(layer, p, threads=2).data
    hkls = LAYOUT.read(layer.hkls)
    spots = np.fromfile(layer.spots_binary).reshape(-1, 9)
    numbers = list(p["RingNumbers"])
    last = hkls.take(np.array([np.flatnonzero(hkls["ring"] == n)[-1] for n in numbers]))
    reference = Reference(
        spots[:, [0, 1, 2, 3, 6, 8]], np.array([numbers.index(int(n)) if n else -1 for n in spots[:, 5]]),
        {
            "radii": np.array(p["RingRadii"]), "two_theta": last["two_theta"], "wedge": 0.0, "exact_wedge": True,
            "rotation_range": np.array([120.0, 90.0, 180.0, 360.0, 120.0]),
            "ring_g": np.column_stack([last["g1"], last["g2"], last["g3"]]), "excluded": [False] * 5,
            "g": np.column_stack([hkls["g1"], hkls["g2"], hkls["g3"]]), "theta": hkls["theta"],
            "hkl_ring": hkls.integers("ring") - 1, "limits": np.array([[*p["OmegaRange"][0], *p["BoxSize"][0]]]),
            "lsd": p["Lsd"], "r_sample": p["Rsample"], "h_beam": p["Hbeam"], "position_step": 400.0,
            "orientation_step": 0.5, "margin_omega": 1.0, "margin_eta": 1000.0, "margin_radius": 500.0,
            "margin_radial": 500.0, "pole_angle": p["MinEta"], "min_completeness": p["Completeness"], "friedel": False,
        },
        0.5,
    )  # fmt: skip
    for i, spot_id in enumerate((50, 54, 59)):
        _, angle, orientation, position, predicted, rows = reference.search(spot_id - 1)
        assert data.best["internal_angle"][i] == pytest.approx(angle, abs=1e-6)
        np.testing.assert_allclose(data.best["orientation"][i], orientation.ravel(), atol=1e-9)
        np.testing.assert_allclose(data.best["position"][i], position, atol=1e-6)
        assert data.best[["expected", "matched"]][i].tolist() == (predicted, len(rows))
        np.testing.assert_array_equal(data.ids[data.spots(i)], rows + 1)
    assert sum(reference.visited.values()) == 21


@pytest.mark.golden
def test_mixed_family_and_hk0_start_rings_find_grains(golden_copy):
    """A {420} start ring, relabelled spots of the fourth ring, finds what the legacy program cannot.

    See docs/theory/indexing.md#rotation-range.
    """
    layer = prepared(golden_copy)
    lines = layer.hkls.read_text().splitlines()
    spots = np.fromfile(layer.spots_binary).reshape(-1, 9)
    ids = [int(spots[row, 4]) for row in np.flatnonzero(spots[:, 5] == 3)[:6]]
    renamed = [lines[0]]
    for line in lines[1:]:
        words = line.split()
        if words[4] == "3":
            # The planes of the ring keep their vectors; indices of the {420} type are read from the last line only.
            words[:3] = ["4", "2", "0"]
        renamed.append(" ".join(words))
    layer.hkls.write_text("\n".join(renamed) + "\n")
    layer.spots_to_index.write_text("".join(f"{spot_id}\n" for spot_id in ids))
    assert run(layer).data.found.all()


# ---------------------------------------------------------------- seed mode


@pytest.mark.golden
def test_given_grains(golden, golden_copy):
    layer = prepared(golden_copy)
    shutil.copy(golden("au3") / "Grains.csv", layer.folder)
    data = run(layer, GrainsFile="Grains.csv", seed_count=18).data
    assert layer.spots_to_index.read_text() == "14 59\n22 51\n23 66\n"
    assert layer.index_best.stat().st_size == 18 * 120
    assert data.best[["expected", "matched"]][:3].tolist() == [(116, 116), (112, 112), (112, 112)]
    np.testing.assert_allclose(data.best["internal_angle"][:3], [0.0420575, 0.0592653, 0.1003201], atol=5e-7)
    assert not numbers(data.best)[3:].any()
    again = index.read(layer.index_best, layer.index_best_full)
    np.testing.assert_array_equal(again.best, data.best)
    np.testing.assert_array_equal(again.ids, data.ids)


@pytest.mark.golden
def test_given_grains_are_the_first_members_work(golden, golden_copy):
    layer = prepared(golden_copy)
    shutil.copy(golden("au3") / "Grains.csv", layer.folder)
    old = layer.spots_to_index.read_text()
    result = run(layer, GrainsFile="Grains.csv", comm=Communicator(1, 2), seed_count=2)
    assert len(result.data) == 0 and not list(layer.output.iterdir())
    assert layer.spots_to_index.read_text() == old
    run(layer, GrainsFile="Grains.csv", comm=Communicator(0, 2), seed_count=2)
    assert [len(content) for content in files(layer)] == [3 * 120, 3 * 80000]  # more grains than slots


@pytest.mark.golden
def test_given_grains_that_match_nothing_are_lost(golden, golden_copy, caplog):
    layer = prepared(golden_copy)
    lines = (golden("au3") / "Grains.csv").read_text().splitlines()
    keep_spots(layer, lambda spots: spots[:, 4] == 292)
    (layer.folder / "Grains.csv").write_text("\n".join(["%NumGrains 2", *lines[1:]]) + "\n")
    with caplog.at_level(logging.WARNING):
        run(layer, GrainsFile=str(layer.folder / "Grains.csv"))
    assert "announces 2 grains, but 3 follow" in caplog.text
    assert [line.split()[0] for line in layer.spots_to_index.read_text().splitlines()] == ["0", "0"]


@pytest.mark.golden
@pytest.mark.parametrize("content", ["", "no number\n", "%NumGrains 1\n" + "\n" * 8 + "1 2 3\n"])
def test_a_bad_grains_file_changes_nothing(golden_copy, content):
    layer = prepared(golden_copy)
    old = layer.spots_to_index.read_text()
    (layer.folder / "seeds.csv").write_text(content)
    with pytest.raises(FormatError, match=r"seeds\.csv"):
        run(layer, GrainsFile="seeds.csv")
    assert layer.spots_to_index.read_text() == old and not list(layer.output.iterdir())
