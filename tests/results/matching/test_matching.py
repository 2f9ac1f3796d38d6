"""``MatchGrains``, ``ff-match``, ``match_grains.py match``: docs/theory/matching.md."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.formats.matched import GRAIN_SET
from midas.results.matching.pairs import compute_cost_matrix, match_grains, match_greedily
from midas.results.matching.sets import LOADED, aggregate_grains, cell_of, load_grains

from .grain_files import angle, cubic_group, quaternions, rows, write

Call = Callable[..., int]
ROOT = Path(__file__).resolve().parents[3]
#: numbers of a row of MatchGrains
COST, ANGLE, DISTANCE = 22, 23, 27


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """Two states of two layers each, which share ids; a list file names those of each state."""
    random = np.random.default_rng(3)
    for state, counts in (("a", (5, 4)), ("b", (4, 6))):
        for layer, count in enumerate(counts):
            write(
                tmp_path / state / f"LayerNr_{layer + 1}" / "Grains.csv",
                quaternions(count, 10 * layer + (state == "b")),
                random.uniform(-100, 100, (count, 3)),
                radii=random.uniform(30, 60, count),
            )
        (tmp_path / f"{state}.txt").write_text(
            f"# layers\n{state}/LayerNr_1/Grains.csv\n{state}/LayerNr_2/Grains.csv"  # no line feed at the end
        )
    return tmp_path


def state_of(folder: Path, state: str, thickness: float, offset: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Grains as a plain reader of the text sees them, where they are in the common frame."""
    found = []
    for layer in (0, 1):
        for line in (folder / state / f"LayerNr_{layer + 1}" / "Grains.csv").read_text().splitlines()[9:]:
            words = np.array(line.split(), float)
            position = words[10:13] + [0, 0, layer * thickness] + offset
            found.append({"key": (layer, words[0]), "u": words[1:10].reshape(3, 3), "x": position, "r": words[22]})
    return found


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("unique", [0, 1])
@pytest.mark.parametrize("sizes", [0, 40])
def test_legacy_program_against_a_plain_computation(
    mode: int, unique: int, sizes: int, layers: Path, in_process: Call
) -> None:
    further = [5, 50, 2] if mode == 2 else [2]
    line = ["out.csv", "a.txt", "b.txt", 225, -3.5, "1e1", 0, mode, 80, 90, unique, sizes, *further]
    assert in_process("MatchGrains", *line, cwd=layers) == 0
    first, second = state_of(layers, "a", 80, np.zeros(3)), state_of(layers, "b", 90, np.array([-3.5, 10, 0]))
    group = cubic_group()
    cost, turned, apart = (np.zeros((len(first), len(second))) for _ in range(3))
    for j, one in enumerate(first):
        for i, two in enumerate(second):
            turned[j, i] = angle(one["u"], two["u"], group)
            apart[j, i] = np.linalg.norm(one["x"] - two["x"])
            off = abs(turned[j, i] - 2)
            cost[j, i] = (off, apart[j, i], off / 5 + apart[j, i] / 50)[mode]
            if sizes and abs(one["r"] - two["r"]) > two["r"] * sizes / 100:
                cost[j, i] = 100000
    if unique:
        pairs, used = [], (set(), set())
        for value, j, i in sorted((cost[j, i], j, i) for j in range(len(first)) for i in range(len(second))):
            if j not in used[0] and i not in used[1]:
                pairs.append((j, i, value))
                used[0].add(j)
                used[1].add(i)
    else:
        pairs = [(int(np.argmin(cost[:, i])), i, cost[:, i].min()) for i in range(len(second))]
    header, table = rows(layers / "out.csv")
    assert len(header) == 28 and header[0] == "%NewIDState2" and header[-1] == "EuclideanDistt"
    for (j, i, value), row in zip(pairs, table, strict=False):
        ids = [i, *second[i]["key"], j, *first[j]["key"]]
        assert row[:6] == [str(int(x)) for x in ids]
        assert float(row[COST]) == pytest.approx(value, abs=3e-4)
        assert float(row[ANGLE]) == pytest.approx(turned[j, i], abs=3e-4)
        np.testing.assert_allclose(np.array(row[24:27], float), second[i]["x"] - first[j]["x"], atol=2e-6)
        assert float(row[DISTANCE]) == pytest.approx(apart[j, i], abs=2e-6)
        assert [float(row[20]), float(row[21])] == [first[j]["r"], second[i]["r"]]
    alone = [j for j in range(len(first)) if j not in {pair[0] for pair in pairs}]
    lonely = [i for i in range(len(second)) if i not in {pair[1] for pair in pairs}]
    rest = [["0"] * 3 + [str(int(x)) for x in (j, *first[j]["key"])] + ["0"] * 22 for j in alone]
    rest += [[str(int(x)) for x in (i, *second[i]["key"])] + ["0"] * 25 for i in lonely]
    assert table[len(pairs) :] == rest


def test_legacy_reference_counts_only_in_its_place(layers: Path, in_process: Call) -> None:
    """One number behind the twelve is the reference of mode 0; of mode 2 it is the third."""
    line = ["a.txt", "b.txt", 225, 0, 0, 0, 0, 80, 90, 1, 0]
    for name, further in (("plain.csv", []), ("weights.csv", [2, 3]), ("reference.csv", [2])):
        assert in_process("MatchGrains", name, *line, *further, cwd=layers) == 0
    texts = [(layers / f"{name}.csv").read_text() for name in ("plain", "weights", "reference")]
    assert texts[0] == texts[1] != texts[2]


def test_best_pairs_as_a_whole_against_all_permutations() -> None:
    cost = np.random.default_rng(5).random((5, 6))
    cost[1, 2] = cost[3, 3] = np.inf
    best = min(permutations(range(6), 5), key=lambda choice: sum(cost[i, j] for i, j in enumerate(choice)))
    np.testing.assert_array_equal(match_grains(cost), [[i, j] for i, j in enumerate(best)])


def test_impossible_pairs_cost_no_possible_one() -> None:
    """As many pairs as can be, however dear; the grain that fits nobody stays alone."""
    inf = np.inf
    np.testing.assert_array_equal(match_grains(np.array([[0.0, 9.0], [inf, inf], [1.0, inf]])), [[0, 1], [2, 0]])
    np.testing.assert_array_equal(match_greedily(np.array([[0.0, 9.0], [inf, inf], [1.0, inf]])), [[0, 0]])
    assert match_grains(np.full((2, 3), inf)).shape == (0, 2)


def test_table_of_match(tmp_path: Path, in_process: Call) -> None:
    q = quaternions(3, 1)
    write(tmp_path / "one.csv", q, np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0]]), ids=[7, 8, 9], radii=[10, 20, 30])
    write(tmp_path / "two.csv", q[[1, 0]], np.array([[10.0, 1, 0], [0, 0, 2]]), ids=[3, 4], radii=[40, 50])
    line = ["match", "--state1", "one.csv", "--state2", "two.csv", "--space-group", 225, "--output", "m.csv"]
    assert in_process("match_grains.py", *line, cwd=tmp_path) == 0
    header, table = rows(tmp_path / "m.csv")
    assert header[:6] == "UniqueIDState1 LayerState1 OrigIDState1 UniqueIDState2 LayerState2 OrigIDState2".split()
    assert header[-8:] == "GrainSize1 GrainSize2 CostValue MisorientAngle dX dY dZ EuclideanDist".split()
    assert [row[:6] for row in table] == [
        ["1", "0", "7", "2", "0", "4"], ["2", "0", "8", "1", "0", "3"], ["3", "0", "9", "0", "0", "0"],
    ]  # fmt: skip
    assert table[0][14:] == [
        *("0.0000", "0.0000", "0.0000", "0.0000", "0.0000", "2.0000", "10.0000", "50.0000"),
        *("2.000000", "0.000000", "0.0000", "0.0000", "-2.0000", "2.0000"),
    ]
    assert table[1][20:22] == ["20.0000", "40.0000"]  # radii, not the strain error in column 42
    assert [word for word in table[2] if "." in word] == table[2][6:10] + table[2][14:17] + table[2][20:21]
    assert table[2][-6:] == ["0"] * 6
    signs = [np.array(row[6:14], float).reshape(2, 4) for row in table[:2]]
    assert all(np.allclose(np.abs(one @ two), 1, atol=1e-5) for one, two in signs)


def test_a_state_with_itself(layers: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--state1", "a/LayerNr_1", "a/LayerNr_2", "--state2", "a/LayerNr_1", "a/LayerNr_2"]
    assert in_process("ff-match", *line, "--space-group", 194, "--beam-thickness", 100, cwd=layers) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Done."
    _, table = rows(layers / "MatchedGrains.csv")
    assert len(table) == 9
    assert all(row[:3] == row[3:6] and row[22:28] == ["0.000000"] * 2 + ["0.0000"] * 4 for row in table)


@pytest.mark.parametrize("space_group", [2, 14, 62, 136, 152, 167, 194, 225])
def test_orientations_that_symmetry_makes_equal(space_group: int) -> None:
    """Any equivalent of an orientation has misorientation 0 with it, for every crystal system."""
    from midas.experiment.orientation import quaternion_product, symmetry_operators
    from midas.formats.matched import QUATERNION
    from midas.formats.table import Table

    operators = symmetry_operators(space_group)
    q = quaternions(len(operators), 2)
    columns = np.zeros((len(GRAIN_SET.names), len(q)))
    first, second = Table(GRAIN_SET.names, columns.copy()), Table(GRAIN_SET.names, columns.copy())
    for name, one, two in zip(QUATERNION, q.T, quaternion_product(q, operators).T, strict=True):
        first[name][:], second[name][:] = one, two
    cost = compute_cost_matrix(first, second, space_group, "orientation")
    assert np.abs(np.diag(cost)).max() < 1e-5
    assert (cost[~np.eye(len(q), dtype=bool)] > 0.1).all()


C_UNIQUE, RHOMBOHEDRAL = (5.0, 6.0, 7.0, 90.0, 90.0, 100.0), (5.0, 5.0, 5.0, 55.3, 55.3, 55.3)


@pytest.mark.parametrize(("space_group", "cell"), [(14, C_UNIQUE), (167, RHOMBOHEDRAL)])
def test_the_cell_of_the_first_list_tells_the_axes(
    space_group: int, cell: tuple, tmp_path: Path, in_process: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """The second state lists equivalents of the orientations of the first; without the cell they would be others."""
    from midas.experiment.orientation import quaternion_product, symmetry_operators

    operators = symmetry_operators(space_group, cell)
    q = quaternions(len(operators), 2)
    write(tmp_path / "a" / "Grains.csv", q, np.zeros((len(q), 3)), cell=cell)
    write(tmp_path / "b" / "Grains.csv", quaternion_product(q, operators), np.zeros((len(q), 3)), cell=cell)

    def angles(*options: object) -> list[float]:
        line = ["--state1", "a", "--state2", "b", "--space-group", space_group, "--mode", "orientation", *options]
        assert in_process("ff-match", *line, cwd=tmp_path) == 0
        return [float(row[23]) for row in rows(tmp_path / "MatchedGrains.csv")[1]]

    assert max(angles()) < 1e-4
    assert max(angles("--lattice", *([5, 6, 7, 90, 100, 90] if space_group == 14 else [5, 5, 12, 90, 90, 120]))) > 1
    layers = ["--layers", "a", "b", "--beam-thickness", 0, "--space-group", space_group]
    assert in_process("ff-stitch", *layers, cwd=tmp_path) == 0
    assert len(rows(tmp_path / "StitchedGrains.csv")[1]) == len(q)
    caplog.clear()
    line = ["--state1", "StitchedGrains.csv", "--state2", "StitchedGrains.csv", "--space-group", space_group]
    assert in_process("ff-match", *line, cwd=tmp_path) == 0
    assert "StitchedGrains.csv does not say its cell" in caplog.text
    caplog.clear()
    assert in_process("ff-match", *line, "--lattice", *cell, cwd=tmp_path) == 0
    assert not caplog.text


def test_state_two_is_brought_back_by_points(tmp_path: Path, in_process: Call) -> None:
    """Points before and after a deformation undo it; the same map as numbers is applied as it stands."""
    random = np.random.default_rng(8)
    q, x = quaternions(6, 4), random.uniform(-100, 100, (6, 3))
    stretch, shift = np.eye(3) + random.uniform(-0.05, 0.05, (3, 3)), np.array([30.0, -20, 10])
    write(tmp_path / "before.csv", q, x)
    write(tmp_path / "after.csv", q, x @ stretch.T + shift)
    points = random.uniform(-100, 100, (5, 3))
    for name, values in (("p.csv", points), ("d.csv", points @ stretch.T + shift)):
        (tmp_path / name).write_text("x,y,z,comment\n" + "".join(f"{a},{b},{c},0\n" for a, b, c in values))
    line = ["--state1", "before.csv", "--state2", "after.csv", "--space-group", 225]
    assert in_process("ff-match", *line, "--affine-from-points", "p.csv", "d.csv", cwd=tmp_path) == 0
    distances = [float(row[27]) for row in rows(tmp_path / "MatchedGrains.csv")[1]]
    assert max(distances) < 1e-3
    forward = np.column_stack([stretch, shift]).ravel()
    swapped = ["--state1", "after.csv", "--state2", "before.csv", "--space-group", 225]
    assert in_process("ff-match", *swapped, "--affine", *forward, cwd=tmp_path) == 0
    distances = [float(row[27]) for row in rows(tmp_path / "MatchedGrains.csv")[1]]
    assert max(distances) < 1e-3
    assert in_process("ff-match", *line, cwd=tmp_path) == 0
    assert min(float(row[27]) for row in rows(tmp_path / "MatchedGrains.csv")[1]) > 10


def test_numbers_in_the_wrong_order_are_noticed(
    tmp_path: Path, in_process: Call, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "g.csv", quaternions(2, 1), np.eye(3)[:2])
    line = ["--state1", "g.csv", "--state2", "g.csv", "--space-group", 225]
    assert in_process("ff-match", *line, "--affine", 1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6, 7, cwd=tmp_path) == 0
    assert "row by row" in caplog.text
    caplog.clear()
    assert in_process("ff-match", *line, "--affine", 1, 0, 0, 5, 0, 1, 0, 6, 0, 0, 1, 7, cwd=tmp_path) == 0
    assert not caplog.text


def test_limits_and_sizes(tmp_path: Path, in_process: Call) -> None:
    q = quaternions(3, 9)
    write(tmp_path / "one.csv", q, np.zeros((3, 3)), radii=[10, 20, 30])
    write(tmp_path / "two.csv", q, np.array([[1.0, 0, 0], [5, 0, 0], [50, 0, 0]]), radii=[10.5, 30, 30])

    def pairs(*options: object) -> list[tuple[str, str]]:
        line = ["--state1", "one.csv", "--state2", "two.csv", "--space-group", 225, *options]
        assert in_process("ff-match", *line, cwd=tmp_path) == 0
        return [(row[0], row[3]) for row in rows(tmp_path / "MatchedGrains.csv")[1] if "0" not in (row[0], row[3])]

    assert pairs() == [("1", "1"), ("2", "2"), ("3", "3")]
    assert pairs("--max-misorientation", 1, "--max-distance", 10) == [("1", "1"), ("2", "2")]
    assert pairs("--max-cost", 2) == [("1", "1")]
    assert pairs("--max-misorientation", 1, "--size-filter", 20) == [("1", "1"), ("3", "3")]
    assert pairs("--mode", "position", "--offset", -1, 0, 0, "--max-distance", 0.5)[0][1] == "1"
    assert pairs("--weights", 1e-3, 1e9) == [("1", "1"), ("2", "2"), ("3", "3")]


def test_offsets_of_single_grains(tmp_path: Path) -> None:
    one = write(tmp_path / "a.csv", quaternions(2, 1), np.zeros((2, 3)), ids=[5, 6])
    table = {(0, 6): (1.0, 2.0, 3.0), (1, 6): (0.0, 0.0, -100.0)}
    grains = aggregate_grains([one, one], 100.0, (10.0, 0.0, 0.0), table)
    assert grains.numbers(("X", "Y", "Z")).tolist() == [[10, 0, 0], [11, 2, 3], [10, 0, 100], [10, 0, 0]]
    assert grains["UniqueID"].tolist() == [1, 2, 3, 4]
    assert grains["LayerNr"].tolist() == [0, 0, 1, 1]


def test_what_can_be_a_state(tmp_path: Path, finished: tuple[Path, object]) -> None:
    """A layer folder, its Grains.csv and its HDF5 file are the same grains; a stitched table keeps its own numbers."""
    folder, _ = finished
    (hdf5,) = folder.glob("*_consolidated.h5")
    from_text = load_grains(folder / "Grains.csv")
    np.testing.assert_array_equal(load_grains(folder).columns, from_text.columns)
    np.testing.assert_allclose(load_grains(hdf5).columns, from_text.columns, atol=1e-6)
    assert from_text["GrainRadius"].min() > 1
    assert cell_of(hdf5) == cell_of(folder) == (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
    only = tmp_path / "layer"
    only.mkdir()
    (only / hdf5.name).symlink_to(hdf5)
    np.testing.assert_allclose(load_grains(only).columns, from_text.columns, atol=1e-6)
    stitched = aggregate_grains([folder])
    GRAIN_SET.write(tmp_path / "StitchedGrains.csv", stitched)
    again = load_grains(tmp_path / "StitchedGrains.csv")
    assert len(again) == len(from_text)
    assert again["GrainID"].tolist() == list(range(1, len(again) + 1))
    np.testing.assert_allclose(again.columns[1:], from_text.columns[1:], atol=1e-6)
    assert again.names == LOADED


def test_no_grains_at_all(tmp_path: Path, in_process: Call) -> None:
    write(tmp_path / "none.csv", np.empty((0, 4)), np.empty((0, 3)))
    write(tmp_path / "two.csv", quaternions(2, 1), np.zeros((2, 3)))
    for one, two, left in (("none.csv", "two.csv", 2), ("two.csv", "none.csv", 2), ("none.csv", "none.csv", 0)):
        for further in ([], ["--no-remove-duplicates"]):
            line = ["--state1", one, "--state2", two, "--space-group", 225, "--output", "m.csv", *further]
            assert in_process("ff-match", *line, cwd=tmp_path) == 0
            assert len(rows(tmp_path / "m.csv")[1]) == left
        assert in_process("MatchGrains", "g.csv", one, two, *"225 0 0 0 0 0 0 1 0".split(), cwd=tmp_path) == 0
        assert len(rows(tmp_path / "g.csv")[1]) == left


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("ff-match --state1 g.csv --space-group 225", 2, "--state2: is required"),
        ("ff-match --state1 g.csv --state2 g.csv", 2, "--space-group: is required"),
        ("ff-match --state1 g.csv --state2 g.csv --space-group 231", 1, "SpaceGroup: 231"),
        ("ff-match --state1 g.csv --state2 g.csv --space-group 5 --lattice 5 5 5 90 90 200", 2, "--lattice: 5.0 5.0"),
        ("ff-match --state1 g.csv --state2 nowhere --space-group 225", 1, "nowhere: cannot be read"),
        ("ff-match --state1 g.csv --state2 . --space-group 225", 1, "has no Grains.csv"),
        ("ff-match --state1 g.csv --state2 g.csv --space-group 225 --weights 0 1", 2, "--weights"),
        ("ff-match --state1 g.csv --state2 g.csv --space-group 225 --mode both", 2, "invalid choice: 'both'"),
        ("ff-match --state1 g.csv --state2 g.csv --space-group 225 --affine-from-points p.csv p.csv", 1, "no plane"),
        ("MatchGrains o.csv g.csv g.csv 225 0 0 0 2 0 0 1 0", 2, "needs angleWeight and distWeight"),
        ("MatchGrains o.csv g.csv g.csv 225 0 0 0 3 0 0 1 0", 2, "matchMode: 3: must be 0, 1 or 2"),
        ("MatchGrains o.csv g.csv p.csv 225 0 0 0 1 0 0 1 0", 1, "p.csv: names x,y,z, which does not exist"),
        ("match_grains.py both", 2, "must be match or stitch"),
        ("ff-stitch --layers g.csv --space-group 225", 2, "--beam-thickness: is required"),
    ],
)
def test_mistakes_end_in_one_line(
    line: str, code: int, reason: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "g.csv", quaternions(2, 1), np.zeros((2, 3)))
    (tmp_path / "p.csv").write_text("x,y,z\n" + "1,2,3\n" * 4)
    before = set(tmp_path.iterdir())
    assert in_process(*line.split(), cwd=tmp_path) == code
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and reason in errors, errors
    assert set(tmp_path.iterdir()) == before


def test_functions_of_the_script_can_be_imported() -> None:
    functions = runpy.run_path(str(ROOT / "bin" / "match_grains.py"), run_name="match_grains")
    for name in ("load_grains", "aggregate_grains", "compute_cost_matrix", "match_grains", "stitch_layers"):
        assert callable(functions[name])


def test_an_hdf5_file_without_grains(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["grains/summary"] = np.zeros((2, 5))
    line = ["--layers", "x.h5", "--space-group", 225, "--beam-thickness", 1]
    assert in_process("ff-stitch", *line, cwd=tmp_path) == 1
    assert "grains/summary: (2 x 5): must be rows of 47 columns" in capsys.readouterr().err
