"""ff-stress: what it writes, what it says, and what it does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import midas
from midas.formats.stress import CRYSTAL, NAMES, SAMPLE, SAMPLE_SIGMA, read_stress
from midas.results.stress import Stiffness, stresses, tensors

from .ensembles import in_equilibrium
from .layer_files import write_layer

Call = Callable[..., int]

CWD = Path.cwd()
LOAD = np.diag([0.0, 0.0, 300.0])
NICKEL = "C11=250.8 C12=150 C44=123.5"
MATRIX = (
    "250.8 150 150 0 0 0  150 250.8 150 0 0 0  150 150 250.8 0 0 0  0 0 0 123.5 0 0  0 0 0 0 123.5 0  0 0 0 0 0 123.5"
)
UPPER = "250.8 150 150 0 0 0  250.8 150 0 0 0  250.8 0 0 0  123.5 0 0  123.5 0  123.5"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 grains of nickel under 300 MPa along z, with a reference cell that is too small by 200e-6. Read only."""
    grains = in_equilibrium(Stiffness.of_material("Ni"), LOAD, 60, 4, change=200.0 * np.eye(3))
    return write_layer(tmp_path_factory.mktemp("stress") / "layer", grains, cell_strain=2.0)


def said(text: str) -> dict[str, str]:
    """The closing table."""
    return dict(line.split("  ", 1) for line in text.splitlines() if "  " in line)


def test_the_table(loaded: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Every column against what the grains say; notes and systems read back."""
    output = tmp_path / "Stress.csv"
    assert (
        in_process("ff-stress", loaded, "-material", "Ni", "-load", 0, 0, 1, "-o", output, "-allSystems", 1, cwd=CWD)
        == 0
    )
    rows = said(capsys.readouterr().out)
    assert list(rows)[-1] == "Next" and "-applied" in rows["Next"]
    assert "60, 60 of them with sigma" in rows["Grains"]
    found, results = read_stress(output), midas.read_results(loaded)
    table = found.table
    expected = stresses(results.grains["strain"], results.grains["orientation"], Stiffness.of_material("Ni"))
    np.testing.assert_allclose(table.numbers(SAMPLE), tensors.components(expected), rtol=1e-4, atol=1e-3)
    u = results.grains["orientation"]
    in_crystal = np.swapaxes(u, 1, 2) @ expected @ u
    np.testing.assert_allclose(table.numbers(CRYSTAL), tensors.components(in_crystal), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(table["Hydrostatic"], np.trace(expected, axis1=1, axis2=2) / 3, rtol=1e-4, atol=1e-3)
    assert table.names[: len(NAMES)] == NAMES
    assert table.names[len(NAMES) :] == ("Shear_fcc", *(f"Tau_{k}" for k in range(1, 13)))
    resolved = np.abs(table.numbers([f"Tau_{k}" for k in range(1, 13)]))
    np.testing.assert_allclose(table["MaxShear"], resolved.max(axis=1))
    np.testing.assert_array_equal(table["System"], resolved.argmax(axis=1) + 1)
    assert len(found.systems) == 12 and found.systems[0].startswith("fcc (1 1 1)[")
    assert found.notes["material"] == "nickel, magnetically saturated"
    assert (table["Schmid"] <= 0.5).all() and (table["sMaxShear"] > 0).all()
    head = output.read_text().splitlines()[0]
    assert head.startswith("# ff-stress, midas ")
    assert not (loaded / "Stress.csv").exists()


def test_a_known_load_and_a_wrong_cell(
    loaded: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reported, and applied only when it is asked for."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    words = [loaded, "-material", "Ni", "-load", 0, 0, 1, "-applied", 300]
    assert in_process("ff-stress", *words, "-o", first, cwd=CWD) == 0
    rows = said(capsys.readouterr().out)
    assert (
        "with the applied stress it would be off by" in rows["Reference cell"]
        and "not applied" in rows["Reference cell"]
    )
    assert in_process("ff-stress", *words, "-o", second, "-correct", "scale", cwd=CWD) == 0
    rows = said(capsys.readouterr().out)
    assert rows["Reference cell"].strip().startswith("changed by")
    change = float(rows["Reference cell"].split()[2])
    assert change == pytest.approx(200, abs=8)
    plain, corrected = read_stress(first), read_stress(second)
    difference = plain.table.numbers(SAMPLE) - corrected.table.numbers(SAMPLE)
    per_part = 3 * Stiffness.of_material("Ni").voigt_average[0] * 1e-3  # nickel answers to a scale by pressure alone
    np.testing.assert_allclose(
        difference, change * per_part * np.array([1, 1, 1, 0, 0, 0.0]) + 0 * difference, atol=0.1
    )
    average = np.array(corrected.notes["average"].split(), float)
    np.testing.assert_allclose(average, [0, 0, 300, 0, 0, 0], atol=4)
    a = float(corrected.notes["reference cell"].split()[0])
    assert a == pytest.approx(3.524 * (1 + change * 1e-6), rel=1e-7)
    assert plain.notes["reference cell"].split()[0] == "3.524"


def test_every_option(loaded: Path, tmp_path: Path, in_process: Call) -> None:
    """The same crystal in four ways; the other strain, slip of the user, six numbers of load, frame of constants."""
    file = tmp_path / "alloy.txt"
    file.write_text(
        "# an alloy\nname alloy\nC11 250.8\nC12 150\nc44 123.5  # GPa\nslip fcc\nspace_group 225\naxes x a z c\n"
    )
    tables = []
    ways = [f"-material {file}", *(f"-stiffness {numbers}" for numbers in (NICKEL, MATRIX, UPPER))]
    for k, words in enumerate(way.split() for way in ways):
        output = tmp_path / f"{k}.csv"
        assert in_process("ff-stress", loaded, *words, "-o", output, cwd=CWD) == 0
        tables.append(read_stress(output))
    for other in tables[1:]:
        np.testing.assert_array_equal(other.table.numbers(SAMPLE), tables[0].table.numbers(SAMPLE))
        assert other.systems == () and np.isnan(other.table["MaxShear"]).all() and not other.table["System"].any()
    assert len(tables[0].systems) == 12 and tables[0].notes["material"] == "alloy"
    output = tmp_path / "more.csv"
    words = ["-stiffness", *NICKEL.split(), "-strain", "cell", "-slip", "bcc110", "own 1 0 0 0 1 1", "-o", output]
    words += ["-applied", 0, 0, 300, 0, 0, 0, "-correct", "axes", "-axes", "x", "a", "z", "c", "-allSystems", 0]
    assert in_process("ff-stress", loaded / "Grains.csv", *words, cwd=CWD) == 0
    more = read_stress(output)
    assert more.table.names[len(NAMES) :] == ("Shear_bcc110", "Shear_own")
    assert "eFab" in more.notes["strain"] and len(more.systems) == 12 + 6


def test_in_the_folder_of_the_layer(tmp_path: Path, in_process: Call) -> None:
    """Without sigmas: everything but them."""
    grains = in_equilibrium(Stiffness.of_material("Ni"), LOAD, 5)
    folder = write_layer(tmp_path / "layer", grains, sigmas=False)
    assert in_process("ff-stress", folder, "-material", "nickel", cwd=CWD) == 0
    table = read_stress(midas.read_results(folder).layer.stress).table
    assert np.isnan(table.numbers(SAMPLE_SIGMA)).all() and np.isfinite(table.numbers(SAMPLE)).all()
    assert np.isnan(table["Schmid"]).all()


def test_from_python(loaded: Path) -> None:
    """A grain takes a stiffness as it takes its matrix."""
    stiffness = Stiffness.of_material("Ni")
    grain = next(iter(midas.read_results(loaded)))
    np.testing.assert_allclose(grain.stress(stiffness), stiffness.stress(grain.strain, grain.matrix), atol=1e-9)


def test_warnings(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Grains without sigma; constants whose sign the spots do not tell."""
    grains = in_equilibrium(Stiffness.of_material("Ti"), LOAD, 6)
    grains.covariances[2] = np.nan
    cell = (4.91, 4.91, 5.41, 90.0, 90.0, 120.0)
    folder = write_layer(tmp_path / "layer", grains, space_group=154, cell=cell)
    constants = "C11=86.8 C12=7 C13=11.9 C14=-18 C33=105.8 C44=58.2"
    assert in_process("ff-stress", folder, "-stiffness", *constants.split(), cwd=CWD) == 0
    out = capsys.readouterr().out
    assert "1 of 6 grains have no sigma" in out and "less symmetry than the lattice" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "one of -material and -stiffness is needed"),
        (f"-material Ni -stiffness {NICKEL}", 2, "-material or -stiffness"),
        ("-material Unobtainium", 1, "is no material of the table, which has al, cu"),
        ("-material Ti", 1, "Ti: is hexagonal, but space group 225 is cubic"),
        ("-material no.txt", 1, "no.txt: "),
        ("-material bad.txt", 1, "bad.txt, line 2: C12: fifteen: must be one number, GPa"),
        ("-material key.txt", 1, "key.txt, line 1: c11x: there is no such key"),
        ("-material twice.txt", 1, "twice.txt, line 2: C11: stands here a second time"),
        ("-material few.txt", 1, "few.txt: stiffness: a crystal of space group 225"),
        ("-material none.txt", 1, "none.txt: holds no elastic constants"),
        ("-material system.txt", 1, "system.txt: space_group: 194: is hexagonal, but the grains are cubic"),
        ("-material empty.txt", 1, "empty.txt, line 1: C11: has no value"),
        ("-stiffness 1 2 3", 2, "the 21 or 36 numbers of a matrix"),
        ("-stiffness C11=250.8 C11=250.8", 2, "names a constant twice"),
        ("-stiffness C11=x", 2, "must be constants"),
        ("-stiffness C11=250.8 C12=150", 1, "missing: C44"),
        ("-material Ni -axes x a z c", 2, "-axes is for -stiffness"),
        ("-material Ni -load 0 0 0", 2, "must be a direction"),
        ("-material Ni -applied 1 2", 2, "must be one number along -load, or six"),
        ("-material Ni -applied 300", 2, "needs -load"),
        ("-material Ni -correct scale", 2, "needs -applied"),
        ("-material Ni -slip hcp", 1, "is no family of a crystal with the cell"),
        ("-material Ni -slip 1,1,1,1,1,1", 1, "does not lie in the plane"),
        ("-material Ni -o layer/Grains.csv", 2, "is an input, which would be overwritten"),
        ("-material Ni -o nowhere/Stress.csv", 1, "there is no such folder"),
        ("-material Ni -strain both", 2, "invalid choice"),
    ],
)
def test_one_line_about_what_is_wrong(
    words: str, code: int, message: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_layer(tmp_path / "layer", in_equilibrium(Stiffness.of_material("Ni"), LOAD, 3))
    files = {
        "bad": "C11 250\nC12 fifteen\n", "key": "C11x 250\n", "twice": "C11 250\nC11 251\n", "few": "C11 250\n",
        "none": "name x\n", "system": "C11 250\nspace_group 194\n", "empty": "C11\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    assert in_process("ff-stress", "layer", *words.split(), cwd=tmp_path) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error
    assert sorted(tmp_path.rglob("*")) == before and folder.is_dir()


def test_no_grains(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    one = in_equilibrium(Stiffness.of_material("Ni"), LOAD, 1)
    one.strains[:] = np.nan
    folder = write_layer(tmp_path / "layer", one, sigmas=False)
    text = (folder / "Grains.csv").read_text().splitlines()
    (folder / "Grains.csv").write_text("\n".join(["%NumGrains 0", *text[1:9]]) + "\n")
    assert in_process("ff-stress", folder, "-material", "Ni", cwd=CWD) == 1
    assert "holds no grains with a strain" in capsys.readouterr().err
