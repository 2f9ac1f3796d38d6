"""``ff-track``: from grain lists to the table, the arrays and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.grains import GRAINS, GrainsHeader
from midas.formats.table import Table
from midas.formats.tracks import ORIENTATION, POSITION, read_tracks
from midas.results.matching.tracking import LINKED, LOST, NEW, RETURNED

from .grain_files import CELL
from .load_steps import LoadSteps

Call = Callable[..., int]
MADE = LoadSteps(grains=40, steps=3, seed=21, lost=0.1, new=0.1)


def write_step(path: Path, step: int, random: np.random.Generator | None = None) -> np.ndarray:
    """A layer folder with the grains of a step; the id of grain k is 10 k + step. Returns the names of the grains."""
    steps, names = MADE.make()
    grains, name = steps[step], names[step]
    table = np.zeros((47, len(name)))
    table[0] = 10 * name + step
    table[1:10] = matrices_from_quaternions(grains.quaternions).reshape(-1, 9).T
    table[10:13] = grains.positions.T
    table[13:19] = np.array(CELL)[:, None]
    table[22] = np.exp(grains.log_radii)
    table[23] = 0.9
    columns = GRAINS.names.index("eKen11")
    table[columns : columns + 9] = np.outer(np.eye(3).ravel(), 100.0 * step + name)
    order = np.argsort(name) if random is None else random.permutation(len(name))
    header = GrainsHeader(len(name), 0.0, 200.0, 0.0, 1, 225, CELL).text()
    path.mkdir(parents=True, exist_ok=True)
    GRAINS.write(path / "Grains.csv", Table(GRAINS.names, np.ascontiguousarray(table[:, order])), header=header)
    return name


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Three load steps."""
    for step in range(3):
        write_step(tmp_path / f"load{step}" / "LayerNr_1", step)
    return tmp_path


LINE = ("ff-track", "load0/LayerNr_1", "load1/LayerNr_1/Grains.csv", "load2/LayerNr_1", "-resultFolder", "out")


def test_table_and_arrays(series: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(*LINE, cwd=series) == 0
    said = capsys.readouterr().out
    assert "Step 3, load2/LayerNr_1" in said and "open" in said.splitlines()[-1] and "Tracks.html" in said
    table = read_tracks(series / "out" / "Tracks.csv")
    seen = table["GrainID"] >= 0
    grain, step = np.divmod(table.integers("GrainID"), 10)
    assert (step[seen] == table.integers("Step")[seen] - 1).all()
    tracks = {(int(t), int(g)) for t, g in zip(table["TrackID"][seen], grain[seen], strict=True)}
    assert len(tracks) == len({t for t, _ in tracks}) == len({g for _, g in tracks})  # a track is a grain
    np.testing.assert_allclose(table["E11"][seen], 100.0 * step[seen] + grain[seen])
    states = [table.integers("State") == state for state in (LINKED, RETURNED, NEW, LOST)]
    assert all(state.any() for state in states)
    assert np.isfinite(table.numbers(POSITION)[states[3]]).all() and (table["GrainID"][states[3]] == -1).all()
    with h5py.File(series / "out" / "Tracks.h5") as file:
        ids = file["tracks/grain_id"][()]
        where = tuple(table.integers(name)[seen] - 1 for name in ("TrackID", "Step"))
        np.testing.assert_array_equal(ids[where], table.integers("GrainID")[seen])
        assert (ids >= 0).sum() == seen.sum() == file["steps/grains"][()].sum()
        for name, columns in (("position", POSITION), ("orientation", ORIENTATION)):
            values = file[f"tracks/{name}"][()][where].reshape(seen.sum(), -1)
            np.testing.assert_allclose(values, table.numbers(columns)[seen], rtol=1e-7, atol=1e-6)
        assert file["tracks/strain"].attrs["unit"] == "1e-6"
        assert list(file["steps"].attrs["names"]) == ["load0/LayerNr_1", "load1/LayerNr_1", "load2/LayerNr_1"]
        turn = file["motion/rotation"][()]
        np.testing.assert_allclose(turn, np.tile([0.3, 0.0, 0.4], (2, 1)), atol=0.05)
        # Settings are the same along a track: what turns is the sample.
        rotation = file["tracks/rotation"][()]
        assert np.nanmax(np.linalg.norm(rotation, axis=2)) < 1.5


def test_page(series: Path, in_process: Call) -> None:
    assert in_process(*LINE, cwd=series) == 0
    page = (series / "out" / "Tracks.html").read_text()
    assert "\\u03b511" in page and "rotation x" in page and "<b>Step 2</b>: lost (" in page
    assert "\\u03c311" not in page  # there is no stress


def test_order_of_rows_and_a_second_run_change_nothing(
    series: Path, in_process: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert in_process(*LINE, cwd=series) == 0
    first = {path.name: path.read_bytes() for path in (series / "out").iterdir()}
    assert set(first) == {"Tracks.csv", "Tracks.h5", "Tracks.html"}
    assert in_process(*LINE, cwd=series) == 0
    assert {path.name: path.read_bytes() for path in (series / "out").iterdir()} == first
    for step in range(3):
        write_step(series / f"load{step}" / "LayerNr_1", step, np.random.default_rng(step))
    assert in_process(*LINE, cwd=series) == 0
    again = (series / "out" / "Tracks.csv").read_bytes()

    def rows(content: bytes) -> list[bytes]:
        return [line for line in content.splitlines() if not line.startswith(b"#")]

    assert rows(again) == rows(first["Tracks.csv"])


def test_head_of_the_table_names_the_inputs(series: Path, in_process: Call) -> None:
    assert in_process(*LINE, cwd=series) == 0
    head = [line for line in (series / "out" / "Tracks.csv").read_text().splitlines() if line.startswith("#")]
    assert head[0].startswith("# ff-track, midas") and "ff-track load0/LayerNr_1" in head[1]
    assert sum("sha256" in line for line in head) == 3


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("load0/LayerNr_1", 2, "two steps or more"),
        ("load0/LayerNr_1 nowhere", 1, "nowhere"),
        ("load0/LayerNr_1 load1", 1, "has no Grains.csv"),
        ("load0/LayerNr_1 load1/LayerNr_1 -spaceGroup 0", 1, "SpaceGroup: 0"),
        ("load0/LayerNr_1 load1/LayerNr_1 -maxRotation 0", 2, "-maxRotation: 0.0"),
        ("load0/LayerNr_1 load1/LayerNr_1 -lattice 0 4 4 90 90 90", 2, "-lattice"),
        ("load0/LayerNr_1 other", 2, "-spaceGroup: the lists tell 194, 225"),
    ],
)
def test_mistakes(
    line: str, code: int, message: str, series: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (series / "load1/LayerNr_1/Grains.csv").read_text().replace("SpaceGroup:225", "SpaceGroup:194")
    (series / "other").mkdir()
    (series / "other" / "Grains.csv").write_text(text)
    assert in_process("ff-track", *line.split(), "-resultFolder", "out", cwd=series) == code
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (series / "out").exists()


def test_uncertainties_beside_the_list(series: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    from midas.formats.uncertainty import SIGMA_NAMES, GrainSigmas, sigma_table

    folder = series / "load1" / "LayerNr_1"
    lines = (folder / "Grains.csv").read_text().splitlines()[9:]
    ids = np.array([float(line.split()[0]) for line in lines])
    values = np.tile(np.arange(1.0, len(SIGMA_NAMES) + 1), (len(ids), 1))
    covariance = np.zeros((len(ids), 12, 12))
    sigmas = GrainSigmas(sigma_table(ids, values), covariance, (1.0, 1.0, 1.0), (), (), (), "none")
    (folder / "GrainsSigma.csv").write_bytes(sigmas.format())
    assert in_process(*LINE, cwd=series) == 0
    table = read_tracks(series / "out" / "Tracks.csv")
    step = (table["Step"] == 2) & (table["GrainID"] >= 0)
    assert (table["sX"][step] == 1.0).all() and (table["sE11"][step] == 1.0 + SIGMA_NAMES.index("sE11")).all()
    assert np.isnan(table["sX"][~step]).all()
    sigmas = GrainSigmas(sigma_table(ids + 1, values), covariance, (1.0, 1.0, 1.0), (), (), (), "none")
    (folder / "GrainsSigma.csv").write_bytes(sigmas.format())
    capsys.readouterr()
    assert in_process(*LINE, cwd=series) == 1
    assert "GrainsSigma.csv: has other grains than Grains.csv" in capsys.readouterr().err


def test_options_of_the_command(series: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("-spaceGroup", 225, "-lattice", *CELL, "-maxRotation", 5, "-beamThickness", 100)
    assert in_process(*LINE, *given, cwd=series) == 0
    capsys.readouterr()
    table = read_tracks(series / "out" / "Tracks.csv")
    linked = table.integers("State") == LINKED
    # Layers above each other: what the grains moved in their own frames, and the distance of the layers.
    moved = np.median(table["dZ"][linked & (table["Step"] == 2)])
    assert moved == pytest.approx(100 + 40, abs=10)
    assert in_process(*LINE, "-maxRotation", 0.1, cwd=series) == 0
    assert "no common motion found" in capsys.readouterr().out


def test_the_current_folder_is_the_default(series: Path, in_process: Call, tmp_path: Path) -> None:
    steps = [series / f"load{step}" / "LayerNr_1" for step in (0, 1)]
    assert in_process("ff-track", *steps, cwd=tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"Tracks.csv", "Tracks.h5", "Tracks.html"}


def test_stress_beside_the_list(series: Path, in_process: Call) -> None:
    constants = ("-stiffness", "C11=246.5", "C12=147.3", "C44=124.7")
    for step in range(2):
        assert in_process("ff-stress", f"load{step}/LayerNr_1", *constants, cwd=series) == 0
    assert in_process(*LINE, cwd=series) == 0
    table = read_tracks(series / "out" / "Tracks.csv")
    seen, stressed = table["GrainID"] >= 0, table["Step"] <= 2
    # Strains are equal along all axes: the stress is hydrostatic.
    pressure = table["E11"] * 1e-6 * (246.5 + 2 * 147.3) * 1e3
    for name in ("S11", "S22", "S33"):
        np.testing.assert_allclose(table[name][seen & stressed], pressure[seen & stressed], rtol=1e-4, atol=1e-4)
    assert np.isnan(table["S11"][~stressed]).all()
    assert "\\u03c311" in (series / "out" / "Tracks.html").read_text()
