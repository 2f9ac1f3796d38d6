"""The grain stage on small layers made by hand (docs/theory/grains.md#checks-on-the-input)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.formats.grains import GRAINS, SPOT_MATRIX, read_grain_ids_key, read_grains
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.index import BEST, FULL_BYTES
from midas.formats.layer import Layer
from midas.formats.refined import ORIENT_POS_FIT, PROCESS_KEY_BYTES, RefinedSeeds
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.runtime.errors import FormatError, MidasError, ParameterError, StageError
from midas.runtime.parallel import Communicator

from .solved_layer import LSD, NAMES, SPACINGS, Made, Solution, parameters


def rotated(degrees: float, axis: Sequence[float] = (1, 2, 3)) -> np.ndarray:
    return Rotation.from_rotvec(np.radians(degrees) * np.array(axis) / np.linalg.norm(axis)).as_matrix()


def test_the_best_member_represents_the_cluster_and_stands_first(tmp_path: Path) -> None:
    spots = range(1, 31)
    made = Made(tmp_path, *(Solution(s, spots, angle=a) for s, a in ((5, 0.06), (3, 0.04), (8, 0.05))))
    made.run()
    assert made.ids() == [3]
    assert made.key_lines() == ["3 1 5 0 8 2 "]  # listing order of the others: seed 5, then 8 reached from 3


def test_a_first_seed_that_is_the_best_is_written_with_its_own_id(tmp_path: Path) -> None:
    made = Made(tmp_path, *(Solution(s, range(1, 31), angle=a) for s, a in ((5, 0.01), (3, 0.04))))
    made.run()
    assert made.key_lines() == ["5 0 3 1 "]


@pytest.mark.parametrize(
    ("second", "third", "best"),
    [
        ({"angle": 0.05 * (1 + 9e-7), "completeness": 0.9}, {"angle": 0.05}, 30),
        ({"angle": 0.05 * (1 + 9e-7)}, {"angle": 0.05}, 10),
        ({"angle": 0.05 * (1 + 3e-6)}, {"angle": 0.05}, 30),
        ({"angle": 0.05 * (1 - 9e-7)}, {"angle": 0.05, "completeness": 0.99}, 10),
    ],
)
def test_ties_go_to_completeness_then_to_the_smaller_id(tmp_path: Path, second: dict, third: dict, best: int) -> None:
    """Solutions of seeds 20, 10, 30: the first is never the best, the other two agree to rounding or nearly so."""
    spots = range(1, 31)
    Made(tmp_path, Solution(20, spots, angle=0.06), Solution(10, spots, **second), Solution(30, spots, **third)).run()
    assert read_grains(tmp_path / "Grains.csv").integers("GrainID").tolist() == [best]


def test_strain_of_the_spots_and_of_the_cell(tmp_path: Path) -> None:
    strain = np.array([[5e-4, 1e-4, -2e-4], [1e-4, -3e-4, 4e-5], [-2e-4, 4e-5, 1e-4]])
    cell = (4.08 * 1.001, 4.08 * 1.001, 4.08 * 1.001, 90.0, 90.0, 90.0)
    made = Made(tmp_path, Solution(1, range(1, 41), rotated(30), cell=cell), strain=strain)
    found = made.run().data.grains
    kenesei = [found[f"eKen{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)]
    np.testing.assert_allclose(kenesei, 1e6 * strain.ravel(), atol=1e-5)
    fable = [found[f"eFab{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)]
    np.testing.assert_allclose(fable, 1000 * np.eye(3).ravel(), atol=1e-5)
    assert found["RMSErrorStrain"][0] < 1e-5


def test_a_strain_beyond_the_bounds_is_the_bounded_solution(tmp_path: Path) -> None:
    """The legacy program repeats the Fable tensor when that one lies outside; here the cell has no say."""
    strain = np.diag([0.02, 0.001, -0.002])
    cell = (4.08 * 1.02, 4.08, 4.08, 90.0, 90.0, 90.0)
    found = Made(tmp_path, Solution(1, range(1, 61), cell=cell), strain=strain).run().data.grains
    assert found["eFab11"][0] == pytest.approx(20000, abs=1e-5)
    assert found["eKen11"][0] == 10000
    assert found["RMSErrorStrain"][0] > 100


def test_too_few_spots_give_the_smallest_strain_that_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Made(tmp_path, Solution(1, [1, 2, 3]), strain=np.diag([1e-3, 1e-3, 1e-3]))
    found = made.run().data.grains
    assert "do not determine its strain" in caplog.text
    assert found["RMSErrorStrain"][0] < 1e-5
    assert 0 < abs(found["eKen11"][0]) < 1000


def test_halves_that_share_no_seed_are_merged_as_duplicates(tmp_path: Path) -> None:
    near, far = rotated(10.05), rotated(10.15)
    first = Solution(1, range(1, 20), rotated(10), (0, 0, 0), angle=0.05)
    made = Made(
        tmp_path,
        first,
        Solution(30, range(21, 40), near, (4.9, 0, 0), angle=0.01),
        Solution(50, range(41, 60), near, (5.0, 0, 0)),
        Solution(60, range(41, 60), far, (0, 0, 0)),
    )
    made.run()
    assert made.ids() == [1, 50, 60]
    assert made.key_lines() == ["1 0 ", "30 1 ", "50 2 ", "60 3 "]


@pytest.mark.parametrize("space_group", [164, 167])
def test_all_trigonal_groups_have_three_fold_axes(space_group: int, tmp_path: Path) -> None:
    """Seeds that share spots, and a half that shares none with them; each solution keeps its own orientation."""
    u, half_turn, sixth = rotated(35), rotated(180, (1, 0, 0)), rotated(60, (0, 0, 1))
    cell = (3.59, 3.59, 4.91, 90.0, 90.0, 120.0)
    made = Made(
        tmp_path,
        Solution(1, range(1, 20), u, cell=cell, angle=0.03),
        Solution(2, range(1, 20), u @ sixth, cell=cell, angle=0.04),
        Solution(30, range(21, 40), u @ sixth @ half_turn, (3, 0, 0), cell=cell),
        Solution(50, range(41, 60), u @ rotated(30, (0, 0, 1)), cell=cell),  # another one in every lattice
    )
    p = parameters(SpaceGroup=space_group, LatticeParameter=" ".join(map(str, cell)))
    found = made.run(p).data.grains
    assert made.ids() == [1, 2, 50]
    np.testing.assert_allclose([found[f"O{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)], u.ravel(), atol=1e-6)


@pytest.mark.parametrize(("turn", "left"), [((0, 1, 0), 1), ((0, 0, 1), 2)])
def test_the_two_fold_axis_of_a_monoclinic_cell_is_b(turn: tuple, left: int, tmp_path: Path) -> None:
    spots, u, cell = range(1, 20), rotated(35), (5, 6, 7, 90, 90, 100)
    made = Made(tmp_path, Solution(1, spots, u, cell=cell), Solution(2, spots, u @ rotated(180, turn), cell=cell))
    made.run(parameters(SpaceGroup=14, LatticeParameter=" ".join(map(str, cell))))
    assert len(made.ids()) == left


def test_completeness_drops_a_grain_after_it_has_suppressed_its_neighbour(tmp_path: Path) -> None:
    made = Made(
        tmp_path,
        Solution(1, range(1, 20), completeness=0.049),
        Solution(30, range(21, 40), (rotated(0)), (1, 0, 0)),
        Solution(50, range(41, 60), rotated(40), completeness=0.05),
    )
    made.run()
    assert made.ids() == [50]


def test_min_nr_spots_counts_the_seeds_of_a_cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Made(tmp_path, *(Solution(s, range(1, 31)) for s in (1, 2, 3)))
    made.run(parameters(MinNrSpots=3))
    assert made.ids() == [1]
    made.run(parameters(MinNrSpots=4))
    assert made.ids() == []
    assert "no grain is left" in caplog.text
    lines = (tmp_path / "Grains.csv").read_text().split("\n")
    assert lines[:2] == ["%NumGrains 0", "%BeamCenter 0.000000"] and len(lines) == 10
    assert made.layer.spot_matrix.read_text() == SPOT_MATRIX.header + "\n"
    assert made.layer.grain_ids_key.read_bytes() == b""


def test_duplicate_seeds_make_one_grain(tmp_path: Path) -> None:
    made = Made(tmp_path, Solution(1, range(1, 20)), Solution(1, range(1, 20), rotated(40)), Solution(1, [30, 31, 32]))
    made.run()
    assert made.ids() == [1]


@pytest.mark.parametrize("lost", ["0", "-1"])
def test_tracking_keeps_every_solution_and_its_own_row(tmp_path: Path, lost: str) -> None:
    """A lost grain shifted all later rows in the legacy program; MinNrSpots has no say."""
    made = Made(
        tmp_path,
        None,
        Solution(7, range(1, 30), rotated(20), (1, 2, 3)),
        None,
        Solution(8, range(1, 30), rotated(20), (4, 5, 6)),
        Solution(8, range(1, 30), rotated(20), (4, 5, 6), completeness=0.01),
    )
    made.layer.spots_to_index.write_text(f"{lost} 11\n7 12\n{lost} 13\n8 14\n8 15\n")
    made.run(parameters(MinNrSpots=2), track=True)
    table = read_grains(made.layer.grains)
    assert table["GrainID"].tolist() == [7, 8]
    assert table["X"].tolist() == [1, 4]
    assert made.key_lines() == ["7 1 ", "8 3 ", "8 4 "]


def test_twins_are_one_cluster_on_request(tmp_path: Path) -> None:
    made = Made(tmp_path, Solution(1, range(1, 31)), Solution(2, range(1, 31), rotated(60, (1, 1, 1)), angle=0.04))
    made.run()
    assert made.ids() == [1, 2]
    made.run(parameters(Twins=1))
    assert made.ids() == [2]


@pytest.mark.parametrize(("phi", "expected"), [(0.0, (0, 0, 40)), (180.0, (0, 180, 320))])
def test_euler_angles_at_the_poles(tmp_path: Path, phi: float, expected: tuple[float, ...]) -> None:
    matrix = Rotation.from_euler("ZXZ", [40, phi, 0], degrees=True).as_matrix()
    found = Made(tmp_path, Solution(1, range(1, 31), np.round(matrix, 12) + 0.0)).run().data.grains
    np.testing.assert_allclose([found[f"Eul{i}"][0] for i in range(3)], np.radians(expected), atol=1e-6)


def test_beam_center_is_weighted_with_the_volume(tmp_path: Path) -> None:
    made = Made(
        tmp_path,
        Solution(1, range(1, 20), position=(0, 0, 10), radius=1),
        Solution(50, range(41, 60), rotated(40), (0, 0, 40), radius=2),
    )
    made.run()
    assert made.layer.grains.read_text().split("\n")[1] == f"%BeamCenter {(10 + 8 * 40) / 9:f}"


def test_keys_of_the_header(tmp_path: Path) -> None:
    made = Made(tmp_path, Solution(1, range(1, 20)))
    made.run(parameters(BeamThickness=150, GlobalPosition=-25, NumPhases=2, PhaseNr=2))
    lines = made.layer.grains.read_text().split("\n")
    assert lines[2:5] == ["%BeamThickness 150.000000", "%GlobalPosition -25.000000", "%NumPhases 2"]
    assert read_grains(made.layer.grains, through="Eul2").integers("PhaseNr").tolist() == [2]


@pytest.mark.parametrize(
    "ranges",
    [
        "3 1 1 9\n1 1 41 {1}\n2 41 61 {2}\n",
        "1 1 41 {1}\n3 41 41 9\n2 41 61 {2}\n",
        "1 1 41 {1}\n2 41 61 {2}\n3 61 61 9\n",
    ],
)
def test_rings_without_spots_take_none(tmp_path: Path, ranges: str) -> None:
    made = Made(tmp_path, Solution(1, range(1, 61)))
    made.layer.ids_hash.write_text(ranges.replace("{1}", str(SPACINGS[1])).replace("{2}", str(SPACINGS[2])))
    assert np.abs(made.run().data.spot_matrix["StrainError"]).max() < 1e-6


def test_beside_an_archive_the_fitted_distance_counts(tmp_path: Path) -> None:
    made = Made(tmp_path, Solution(1, range(1, 61)))
    (tmp_path / "paramstest.txt").write_text(f"Distance {LSD};\n")
    made.layer = Layer(tmp_path, tmp_path / "x.MIDAS.zip")
    assert made.run(parameters(Lsd=LSD * 1.001)).data.grains["RMSErrorStrain"][0] < 1e-5
    (tmp_path / "paramstest.txt").unlink()
    assert made.run(parameters(Lsd=LSD * 1.001)).data.grains["eKen11"][0] == pytest.approx(1000, rel=0.05)


def test_inputs_in_memory_need_no_files(tmp_path: Path) -> None:
    solution = Solution(1, range(1, 61))
    made = Made(tmp_path, solution)
    made.run()
    first = made.layer.grains.read_bytes()
    refined = RefinedSeeds(
        np.fromfile(made.layer.key, "<i4").reshape(-1, 2),
        np.fromfile(made.layer.orient_pos_fit, ORIENT_POS_FIT),
        np.array([0, 60]),
        np.arange(1, 61, dtype=np.int32),
        made.fit_of(solution),
    )
    spots = EXTRA_INFO.read(made.layer.extra_info)
    columns = dict.fromkeys(HKLS.names, np.ones(2)) | {"ring": [1, 2], "d_spacing": list(SPACINGS.values())}
    for path in (made.layer.key, made.layer.orient_pos_fit, made.layer.process_key, made.layer.fit_best):
        path.unlink()
    made.layer.extra_info.unlink()
    made.layer.ids_hash.unlink()
    made.run(refined=refined, extra_info=spots, hkls=Table.from_columns(HKLS.names, columns))
    assert made.layer.grains.read_bytes() == first


# Mistakes


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Three seeds, of which the second has no solution, and the results of an earlier run."""
    layer = Made(tmp_path / "a layer", Solution(1, range(1, 31)), None, Solution(3, range(1, 31)))
    for name in NAMES:
        (layer.folder / name).write_text("stale")
    layer.layer.consolidated.write_text("stale")
    return layer


def cut(path: Path, length: int) -> None:
    os.truncate(path, length)


def without_solutions(layer: Layer) -> None:
    """A ``Key.bin`` that is all zeros beside seeds that were indexed."""
    layer.key.write_bytes(bytes(24))
    best = np.zeros(3, BEST)
    best["matched"] = 1, 0, 1
    layer.index_best.parent.mkdir(exist_ok=True)
    layer.index_best.write_bytes(best.tobytes())
    layer.index_best_full.write_bytes(bytes(3 * FULL_BYTES))


def patched(path: Path, offset: int, value: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = np.array([value], "<i4").tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.spots_to_index.write_text(""), "No ID was found in SpotsToIndex.csv file. Please check your"),
        (lambda f: f.spots_to_index.unlink(), "SpotsToIndex.csv.*cannot be read"),
        (lambda f: f.spots_to_index.write_text("1\n\n3\n"), "line 2.*spot id"),
        (lambda f: f.spots_to_index.write_text("1\nx\n3\n"), "line 2"),
        (lambda f: f.spots_to_index.write_text("1\n9\n61\n"), "line 3: 61: is no spot"),
        (lambda f: f.spots_to_index.write_text("1\n9\n4\n"), "row 2 is seed 3"),
        (lambda f: f.spots_to_index.write_text("1\n9\n"), "24 bytes where 2 seeds need 16"),
        (lambda f: f.key.unlink(), r"Key\.bin: is missing: there are no refined seeds; run ff-refine first"),
        (lambda f: f.key.write_bytes(bytes(24)), "This means nothing was indexed in the previous step."),
        (without_solutions, r"Key\.bin: has no refined seed, but the indexer has found 2: no one could be refined"),
        (lambda f: patched(f.key, 4, 5001), "5001 spots"),
        (lambda f: cut(f.orient_pos_fit, 27 * 8), "OrientPosFit.bin: has 216 bytes where its solutions need 648"),
        (lambda f: cut(f.orient_pos_fit, 100), "cut off"),
        (lambda f: f.orient_pos_fit.unlink(), "OrientPosFit.bin.*run ff-refine first"),
        (lambda f: cut(f.process_key, 2 * PROCESS_KEY_BYTES + 8), "ProcessKey.bin: has 40008 bytes where"),
        (lambda f: patched(f.process_key, 0, 0), "ProcessKey.bin: row 0 holds spot id 0"),
        (lambda f: patched(f.process_key, 2 * PROCESS_KEY_BYTES, 61), "row 2 holds spot id 61"),
        (lambda f: patched(f.process_key, 4, 9), "row 0 lists other spots"),
        (lambda f: f.fit_best.unlink(), "FitBest.bin.*run ff-refine first"),
        (lambda f: cut(f.fit_best, 1000), "FitBest.bin: has 1000 bytes where"),
        (lambda f: f.ids_hash.unlink(), "hkls.csv"),
        (lambda f: f.ids_hash.write_text("1 1 20 2.3\n"), "spot 21 of grain 1 lies on no ring"),
        (lambda f: f.extra_info.unlink(), "run ff-setup first"),
        (lambda f: f.extra_info.write_text(f.extra_info.read_text().replace("2.00000", "x", 1)), "line"),
    ],
)
def test_mistakes_in_files_are_named_and_leave_no_result(
    made: Made, spoil: Callable[[Layer], object], message: str
) -> None:
    spoil(made.layer)
    with pytest.raises(MidasError, match=message) as caught:
        made.run()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FormatError | StageError)
    left = {path.name for path in made.folder.iterdir()}
    assert not left & {*NAMES, made.layer.consolidated.name}
    assert not [name for name in left if name.endswith(".part")]


def test_spot_ids_must_count_the_lines(made: Made) -> None:
    lines = made.layer.extra_info.read_text().split("\n")
    made.layer.extra_info.write_text("\n".join([*lines[:5], *lines[6:]]))
    with pytest.raises(FormatError, match="line 6.*SpotID 6 where 5 must stand"):
        made.run()


@pytest.mark.parametrize("key", ["LatticeParameter", "Lsd", "Wavelength"])
def test_missing_parameters_are_named(made: Made, key: str) -> None:
    with pytest.raises(ParameterError, match=key):
        made.run(parameters(**{key: None}))


@pytest.mark.parametrize("space_group", [0, 231, -5])
def test_impossible_space_groups_are_named(made: Made, space_group: int) -> None:
    with pytest.raises(ParameterError, match=f"SpaceGroup: {space_group}"):
        made.run(parameters(SpaceGroup=space_group))


def test_solutions_without_spots_or_numbers_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Made(tmp_path, Solution(1, []), Solution(2, range(1, 31), angle=np.nan), Solution(3, range(1, 31)))
    made.run()
    assert made.ids() == [3]
    assert "1 solutions have no matched spot" in caplog.text
    assert "not finite" in caplog.text


def test_messages_users_look_for(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made.run()
    for text in (
        "Reading IDs file: SpotsToIndex.csv",
        "Total of 3 IDs will be sorted into grains now.",
        "Read all grain files.",
        "Processed 3 of 3 IDs.",
        "Number of grains: 1.",
        "Time elapsed: ",
    ):
        assert text in caplog.text


def test_the_other_ranks_leave_the_work_to_the_first(made: Made) -> None:
    made.run(comm=Communicator(1, 2))
    assert made.layer.grains.read_text() == "stale"


def test_every_grain_keeps_its_invariants(made: Made) -> None:
    result = made.run()
    table, spots = result.data.grains, result.data.spot_matrix
    key = read_grain_ids_key(made.layer.grain_ids_key)
    assert set(table.integers("GrainID")) <= set(key.ids.tolist())
    assert len(spots) == 30
    for kind in ("eFab", "eKen"):
        for i, j in ((1, 2), (1, 3), (2, 3)):
            np.testing.assert_array_equal(table[f"{kind}{i}{j}"], table[f"{kind}{j}{i}"])
    assert table.names == GRAINS.names
