"""The grain stage against the legacy runs and on small layers made by hand (spec chapter 07 §4.3-4.5, §7, §8, §11)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas._ext.nelder_mead import minimise_function
from midas.errors import FormatError, MidasError, ParameterError, StageError
from midas.formats.grains import GRAINS, SPOT_MATRIX, read_grain_ids_key, read_grains
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.refined import FIT_BEST_BYTES, PROCESS_KEY_BYTES, RefinedSeeds
from midas.formats.spots import EXTRA_INFO, IDS_HASH
from midas.formats.table import Table
from midas.layer import Layer, StageResult
from midas.parallel import Communicator
from midas.parameters import Parameters
from midas.stages import grains

REFINED = ("Results", "Output", "InputAllExtraInfoFittingAll.csv", "IDsHash.csv", "SpotsToIndex.csv", "paramstest.txt")
NAMES = ("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv")
LSD, WAVELENGTH = 1e6, 0.22291
CELL = (4.08, 4.08, 4.08, 90.0, 90.0, 90.0)
SPACINGS = {1: 2.355589, 2: 2.04}
GOLD = {
    "SpaceGroup": 225,
    "LatticeParameter": " ".join(map(str, CELL)),
    "Wavelength": WAVELENGTH,
    "Lsd": LSD,
    "BeamThickness": 200,
    "GlobalPosition": 100,
}


def parameters(**values: object) -> Parameters:
    lines = {**GOLD, **values}
    return Parameters.parse("\n".join(f"{k} {v}" for k, v in lines.items() if v is not None), "ps.txt")


def rows_of(path: Path, header: int) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[header:]]


# Golden


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_grains(golden: Callable[[str], Path], golden_copy: Callable[..., Path], name: str) -> None:
    legacy, folder = golden(name), golden_copy(name, *REFINED, "Parameters.txt")
    result = grains.run(Layer(folder), Parameters.read(folder / "Parameters.txt"), threads=2)

    ours, theirs = (rows_of(f / "Grains.csv", 0) for f in (folder, legacy))
    assert ours[:9] == theirs[:9]
    assert [r[:33] + r[43:] for r in ours[9:]] == [r[:33] + r[43:] for r in theirs[9:]]
    new, old = (np.array([r[33:43] for r in rows[9:]], float) for rows in (ours, theirs))
    # The legacy minimiser stops short of the minimum; ours is there, so its residual is never larger.
    assert (np.abs(new - old)[:, :9] <= 0.03 * old[:, 9:] + 0.1).all()
    assert (new[:, 9] <= old[:, 9] + 5e-7).all() and (new[:, 9] >= old[:, 9] - 0.02).all()

    ours, theirs = (rows_of(f / "SpotMatrix.csv", 0) for f in (folder, legacy))
    assert [r[:11] for r in ours] == [r[:11] for r in theirs]
    errors = np.array([[float(a[11]), float(b[11])] for a, b in zip(ours[1:], theirs[1:], strict=True)])
    rms = {row[0]: float(row[42]) for row in rows_of(legacy / "Grains.csv", 9)}
    allowed = [max(5.01e-6, 1e-8 * rms[row[0]]) for row in theirs[1:]]
    assert (np.abs(errors[:, 0] - errors[:, 1]) <= allowed).all()

    seeds = [int(line) for line in (folder / "SpotsToIndex.csv").read_text().split()]
    for mine, their in zip(*((f / "GrainIDsKey.csv").read_text().split("\n") for f in (folder, legacy)), strict=True):
        assert mine.split(" ", 1)[1:] == their.split(" ", 1)[1:]
        assert not mine or int(mine.split()[0]) == seeds[int(mine.split()[1])]
    assert result.summary["grains"] == len(new)


class StrainProblems:
    """The linear equations of each grain's strain, from the files (§4.5)."""

    def __init__(self, folder: Path):
        self.parameters = Parameters.read(folder / "Parameters.txt")
        self.fit = np.memmap(folder / "Output/FitBest.bin", "<f8", "r")
        self.seeds = np.loadtxt(folder / "SpotsToIndex.csv", int)
        self.counts = np.fromfile(folder / "Results/Key.bin", "<i4").reshape(-1, 2)[:, 1]
        self.hashed = IDS_HASH.read(folder / "IDsHash.csv")

    def of_grain(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Design matrix and relative changes of the spacings."""
        row, p = int(np.flatnonzero(self.seeds == seed)[0]), self.parameters
        spots = self.fit[row * FIT_BEST_BYTES // 8 :][: self.counts[row] * 22].reshape(-1, 22)
        g = spots[:, 4:7] / np.linalg.norm(spots[:, 4:7], axis=1)[:, None]
        d = p["Wavelength"] / 2 / np.sin(np.arctan(np.hypot(spots[:, 1], spots[:, 2]) / p["Lsd"]) / 2)
        ring = np.searchsorted(self.hashed["first_id"], spots[:, 0], side="right") - 1
        a = np.stack([*(g**2).T, 2 * g[:, 0] * g[:, 1], 2 * g[:, 0] * g[:, 2], 2 * g[:, 1] * g[:, 2]], axis=1)
        return a, d / self.hashed["d_spacing"][ring] - 1


def tensor(table: Table, name: str, grain: int) -> np.ndarray:
    return np.array([table[f"{name}{ij}"][grain] for ij in (11, 22, 33, 12, 13, 23)])


@pytest.mark.golden
def test_strain_is_the_exact_least_squares_solution(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("ds1", *REFINED, "Parameters.txt")
    found = grains.run(Layer(folder), Parameters.read(folder / "Parameters.txt"), threads=1).data["grains"]
    problems = StrainProblems(folder)
    for grain, seed in enumerate(found.integers("GrainID")):
        exact = 1e6 * np.linalg.lstsq(*problems.of_grain(seed))[0]
        np.testing.assert_allclose(tensor(found, "eKen", grain), exact, atol=1e-6)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_the_legacy_minimiser_gives_the_legacy_strain(golden: Callable[[str], Path], name: str) -> None:
    """Where ours differs (by up to 9.4e-6 in three grains) it is because that minimiser stops short, nothing else."""
    legacy = read_grains(golden(name) / "Grains.csv")
    problems = StrainProblems(golden(name))
    bound = np.full(6, 0.01)
    for grain, seed in enumerate(legacy.integers("GrainID")):
        a, b = problems.of_grain(seed)
        start = tensor(legacy, "eFab", grain) / 1e6
        strain, *_ = minimise_function(lambda x, a=a, b=b: 1e6 * np.sum((a @ x - b) ** 2), start, -bound, bound)
        np.testing.assert_allclose(1e6 * strain, tensor(legacy, "eKen", grain), atol=1e-3)


@pytest.mark.golden
def test_data_in_memory_equal_the_files_for_any_number_of_threads(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("au3", *REFINED, "Parameters.txt")
    p = Parameters.read(folder / "Parameters.txt")
    result = grains.run(Layer(folder), p, threads=1)
    first = {name: (folder / name).read_bytes() for name in NAMES}
    np.testing.assert_array_equal(result.data["grains"].columns, read_grains(folder / "Grains.csv").columns)
    read_back = SPOT_MATRIX.read(folder / "SpotMatrix.csv")
    np.testing.assert_array_equal(result.data["spot_matrix"].columns, read_back.columns)
    assert result.data["grain_ids_key"].format() == first["GrainIDsKey.csv"]
    grains.run(Layer(folder), p, threads=2)
    assert {name: (folder / name).read_bytes() for name in NAMES} == first


@pytest.mark.golden
def test_without_ids_hash_the_rings_come_from_the_spot_table(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("au3", *REFINED, "Parameters.txt", "hkls.csv")
    p = Parameters.read(folder / "Parameters.txt")
    grains.run(Layer(folder), p, threads=1)
    with_hash = (folder / "Grains.csv").read_bytes()
    (folder / "IDsHash.csv").unlink()
    grains.run(Layer(folder), p, threads=1)
    assert (folder / "Grains.csv").read_bytes() == with_hash


# Layers made by hand


@dataclass
class Solution:
    """What the refinement found from one seed."""

    seed: int
    spots: Sequence[int]
    orientation: np.ndarray = field(default_factory=lambda: np.eye(3))
    position: tuple[float, float, float] = (0, 0, 0)
    cell: tuple[float, ...] = CELL
    angle: float = 0.05
    radius: float = 100.0
    completeness: float = 1.0


class Made:
    """A layer folder with 60 spots on two rings; spot s of a grain under the strain `strain`."""

    def __init__(self, folder: Path, *solutions: Solution | None, strain: np.ndarray | None = None):
        self.folder, self.layer = folder, Layer(folder)
        self.total = 60
        rng = np.random.default_rng(7)
        self.normals = rng.normal(size=(self.total, 3))
        self.normals /= np.linalg.norm(self.normals, axis=1, keepdims=True)
        self.rings = np.repeat([1, 2], [40, 20])
        strained = np.einsum("ni,ij,nj->n", self.normals, np.zeros((3, 3)) if strain is None else strain, self.normals)
        spacing = np.array([SPACINGS[r] for r in self.rings]) * (1 + strained)
        self.radii = LSD * np.tan(2 * np.arcsin(WAVELENGTH / 2 / spacing))
        (folder / "Results").mkdir(parents=True)
        (folder / "Output").mkdir()
        self.write_spots()
        self.write_solutions(solutions)

    def write_spots(self) -> None:
        columns = dict.fromkeys(EXTRA_INFO.names, np.linspace(1, 2, self.total))
        columns |= {"spot_id": np.arange(1.0, self.total + 1), "ring": self.rings}
        EXTRA_INFO.write(self.layer.extra_info, Table.from_columns(EXTRA_INFO.names, columns))
        self.layer.ids_hash.write_text(f"1 1 41 {SPACINGS[1]}\n2 41 61 {SPACINGS[2]}\n")

    def write_solutions(self, solutions: Sequence[Solution | None]) -> None:
        key = np.zeros((len(solutions), 2), "<i4")
        fits = np.zeros((len(solutions), 27))
        last = max((r for r, s in enumerate(solutions) if s), default=-1)
        with open(self.layer.process_key, "wb") as ids, open(self.layer.fit_best, "wb") as best:
            for row, s in enumerate(solutions):
                if s is None:
                    continue
                key[row] = s.seed, len(s.spots)
                fits[row] = [
                    s.seed, *np.ravel(s.orientation), s.seed, *s.position, s.seed, *s.cell, s.seed,
                    20.0, 0.05, s.angle, s.radius, s.completeness,
                ]  # fmt: skip
                ids.seek(row * PROCESS_KEY_BYTES)
                ids.write(np.array(s.spots, "<i4").tobytes())
                best.seek(row * FIT_BEST_BYTES)
                best.write(self.fit_of(s).tobytes())
        key.tofile(self.layer.key)
        fits[: last + 1].tofile(self.layer.orient_pos_fit)
        self.layer.spots_to_index.write_text("".join(f"{s.seed if s else 9}\n" for s in solutions))

    def fit_of(self, solution: Solution) -> np.ndarray:
        rows = np.array(solution.spots, int) - 1
        fit = np.zeros((len(rows), 22))
        fit[:, 0] = solution.spots
        fit[:, 1] = self.radii[rows]
        fit[:, 4:7] = self.normals[rows]
        return fit

    def run(self, p: Parameters | None = None, **options: object) -> StageResult:
        return grains.run(self.layer, p or parameters(), threads=1, **options)  # type: ignore[arg-type]

    def ids(self) -> list[int]:
        return read_grains(self.layer.grains).integers("GrainID").tolist()

    def key_lines(self) -> list[str]:
        return self.layer.grain_ids_key.read_text().splitlines()


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
    found = made.run().data["grains"]
    kenesei = [found[f"eKen{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)]
    np.testing.assert_allclose(kenesei, 1e6 * strain.ravel(), atol=1e-5)
    fable = [found[f"eFab{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)]
    np.testing.assert_allclose(fable, 1000 * np.eye(3).ravel(), atol=1e-5)
    assert found["RMSErrorStrain"][0] < 1e-5


def test_a_strain_beyond_the_bounds_is_the_bounded_solution(tmp_path: Path) -> None:
    """The legacy program repeats the Fable tensor when that one lies outside; here the cell has no say."""
    strain = np.diag([0.02, 0.001, -0.002])
    cell = (4.08 * 1.02, 4.08, 4.08, 90.0, 90.0, 90.0)
    found = Made(tmp_path, Solution(1, range(1, 61), cell=cell), strain=strain).run().data["grains"]
    assert found["eFab11"][0] == pytest.approx(20000, abs=1e-5)
    assert found["eKen11"][0] == 10000
    assert found["RMSErrorStrain"][0] > 100


def test_too_few_spots_give_the_smallest_strain_that_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Made(tmp_path, Solution(1, [1, 2, 3]), strain=np.diag([1e-3, 1e-3, 1e-3]))
    found = made.run().data["grains"]
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
    found = Made(tmp_path, Solution(1, range(1, 31), np.round(matrix, 12) + 0.0)).run().data["grains"]
    np.testing.assert_allclose([found[f"Eul{i}"][0] for i in range(3)], np.radians(expected), atol=1e-6)


def test_beam_center_is_weighted_with_the_volume(tmp_path: Path) -> None:
    made = Made(
        tmp_path,
        Solution(1, range(1, 20), position=(0, 0, 10), radius=1),
        Solution(50, range(41, 60), rotated(40), (0, 0, 40), radius=2),
    )
    made.run()
    assert made.layer.grains.read_text().split("\n")[1] == f"%BeamCenter {(10 + 8 * 40) / 9:f}"


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
    assert np.abs(made.run().data["spot_matrix"]["StrainError"]).max() < 1e-6


def test_beside_an_archive_the_fitted_distance_counts(tmp_path: Path) -> None:
    made = Made(tmp_path, Solution(1, range(1, 61)))
    (tmp_path / "paramstest.txt").write_text(f"Distance {LSD};\n")
    made.layer = Layer(tmp_path, tmp_path / "x.MIDAS.zip")
    assert made.run(parameters(Lsd=LSD * 1.001)).data["grains"]["RMSErrorStrain"][0] < 1e-5
    (tmp_path / "paramstest.txt").unlink()
    assert made.run(parameters(Lsd=LSD * 1.001)).data["grains"]["eKen11"][0] == pytest.approx(1000, rel=0.05)


def test_inputs_in_memory_need_no_files(tmp_path: Path) -> None:
    solution = Solution(1, range(1, 61))
    made = Made(tmp_path, solution)
    made.run()
    first = made.layer.grains.read_bytes()
    refined = RefinedSeeds(
        np.fromfile(made.layer.key, "<i4").reshape(-1, 2),
        np.fromfile(made.layer.orient_pos_fit).reshape(-1, 27),
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
        (lambda f: f.key.unlink(), "Key file was not found. This means nothing was indexed in the previous step."),
        (lambda f: f.key.write_bytes(bytes(24)), "This means nothing was indexed in the previous step."),
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
    table, spots = result.data["grains"], result.data["spot_matrix"]
    key = read_grain_ids_key(made.layer.grain_ids_key)
    assert set(table.integers("GrainID")) <= set(key.ids.tolist())
    assert len(spots) == 30
    for kind in ("eFab", "eKen"):
        for i, j in ((1, 2), (1, 3), (2, 3)):
            np.testing.assert_array_equal(table[f"{kind}{i}{j}"], table[f"{kind}{j}{i}"])
    assert table.names == GRAINS.names
