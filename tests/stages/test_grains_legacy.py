"""The grain stage on the legacy runs (docs/theory/grains.md#checks-on-a-result)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas._ext.numerics.nelder_mead import minimise_function
from midas.formats.grains import SPOT_MATRIX, read_grains
from midas.formats.index import SLOT
from midas.formats.layer import Layer
from midas.formats.refined import FIT_BEST
from midas.formats.spots import IDS_HASH
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import grains

from .solved_layer import NAMES

REFINED = ("Results", "Output", "InputAllExtraInfoFittingAll.csv", "IDsHash.csv", "SpotsToIndex.csv", "paramstest.txt")


def legacy_parameters(folder: Path) -> Parameters:
    return Parameters.read(folder / "Parameters.txt").changed(LegacyDigits=1)


def rows_of(path: Path, header: int) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[header:]]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_grains(golden: Callable[[str], Path], golden_copy: Callable[..., Path], name: str) -> None:
    legacy, folder = golden(name), golden_copy(name, *REFINED, "Parameters.txt")
    result = grains.run(Layer(folder), legacy_parameters(folder), threads=2)

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
    """The linear equations of each grain's strain, from the files (docs/theory/grains.md#strain-from-the-spacings)."""

    def __init__(self, folder: Path):
        self.parameters = legacy_parameters(folder)
        self.fit = np.memmap(folder / "Output/FitBest.bin", FIT_BEST, "r")
        self.seeds = np.loadtxt(folder / "SpotsToIndex.csv", int)
        self.counts = np.fromfile(folder / "Results/Key.bin", "<i4").reshape(-1, 2)[:, 1]
        self.hashed = IDS_HASH.read(folder / "IDsHash.csv")

    def of_grain(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Design matrix and relative changes of the spacings."""
        row, p = int(np.flatnonzero(self.seeds == seed)[0]), self.parameters
        spots = self.fit[row * SLOT :][: self.counts[row]]
        g = spots["g_observed"] / np.linalg.norm(spots["g_observed"], axis=1)[:, None]
        d = p["Wavelength"] / 2 / np.sin(np.arctan(np.hypot(spots["y_centred"], spots["z_centred"]) / p["Lsd"]) / 2)
        ring = np.searchsorted(self.hashed["first_id"], spots["spot_id"], side="right") - 1
        a = np.stack([*(g**2).T, 2 * g[:, 0] * g[:, 1], 2 * g[:, 0] * g[:, 2], 2 * g[:, 1] * g[:, 2]], axis=1)
        return a, d / self.hashed["d_spacing"][ring] - 1


def tensor(table: Table, name: str, grain: int) -> np.ndarray:
    return np.array([table[f"{name}{ij}"][grain] for ij in (11, 22, 33, 12, 13, 23)])


@pytest.mark.golden
def test_strain_is_the_exact_least_squares_solution(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("ds1", *REFINED, "Parameters.txt")
    found = grains.run(Layer(folder), legacy_parameters(folder), threads=1).data.grains
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
    p = legacy_parameters(folder)
    result = grains.run(Layer(folder), p, threads=1)
    first = {name: (folder / name).read_bytes() for name in NAMES}
    np.testing.assert_array_equal(result.data.grains.columns, read_grains(folder / "Grains.csv").columns)
    read_back = SPOT_MATRIX.read(folder / "SpotMatrix.csv")
    np.testing.assert_array_equal(result.data.spot_matrix.columns, read_back.columns)
    assert result.data.grain_ids_key.format() == first["GrainIDsKey.csv"]
    grains.run(Layer(folder), p, threads=2)
    assert {name: (folder / name).read_bytes() for name in NAMES} == first


@pytest.mark.golden
def test_without_ids_hash_the_rings_come_from_the_spot_table(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("au3", *REFINED, "Parameters.txt", "hkls.csv")
    p = legacy_parameters(folder)
    grains.run(Layer(folder), p, threads=1)
    with_hash = (folder / "Grains.csv").read_bytes()
    (folder / "IDsHash.csv").unlink()
    grains.run(Layer(folder), p, threads=1)
    assert (folder / "Grains.csv").read_bytes() == with_hash
