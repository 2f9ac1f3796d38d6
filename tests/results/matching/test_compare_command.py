"""``ff-compare``: lists of any kind, one partner each, the page, and the exit code by tolerance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.experiment.orientation import quaternion_product, symmetry_operators
from midas.results.exchange import read_grain_list
from midas.results.matching.compare import compare
from midas.results.matching.lattice import quaternions_of_vectors

from .grain_files import CELL, quaternions, write

Call = Callable[..., int]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Twelve grains, and what another analysis found: one is missing, one is not there, all are 3 µm and 0.01° off."""
    random = np.random.default_rng(8)
    q, x = quaternions(12, 1), random.uniform(-200, 200, (12, 3))
    write(tmp_path / "true.csv", q, x)
    operators = symmetry_operators(225)
    turned = quaternion_product(quaternions_of_vectors(np.array([[0.0, 0.0, 0.01]])), q)
    settings = quaternion_product(turned, operators[random.integers(24, size=12)])
    found = np.concatenate([settings[:11], quaternions(1, 99)])
    order = random.permutation(12)
    places = np.concatenate([x[:11] + [0.0, 3.0, 0.0], [[0.0, 0.0, 0.0]]])
    cell = (*(1.0002 * np.array(CELL[:3])), *CELL[3:])
    write(tmp_path / "found" / "Grains.csv", found[order], places[order], ids=10 * (1 + order), cell=cell)
    text = (tmp_path / "found" / "Grains.csv").read_text()
    old, new = (" ".join(f"{v:f}" for v in values) for values in (cell, CELL))
    (tmp_path / "found" / "Grains.csv").write_text(text.replace(old, new))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("-tolPosition 3.1 -tolAngle 0.011 -tolStrain 160 -tolMissing 9 -tolSurplus 9", ""),
        ("-tolPosition 2.9", "position 3 µm > 2.9 (-tolPosition)"),
        ("-tolAngle 0.009", "misorientation 0.01 degrees > 0.009 (-tolAngle)"),
        ("-tolStrain 100", "strain 116 x 1e-6 > 100 (-tolStrain)"),
        ("-tolMissing 0", "missing grains 8.33 % > 0 (-tolMissing)"),
        ("-tolSurplus 8", "surplus grains 8.33 % > 8 (-tolSurplus)"),
        ("-tolPosition 1 -tolMissing 0", "position 3 µm > 1 (-tolPosition); missing grains 8.33 % > 0 (-tolMissing)"),
    ],
)
def test_exit_code_by_tolerance(
    options: str, said: str, lists: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("ff-compare", "true.csv", "found", *options.split(), cwd=lists) == (1 if said else 0)
    out, error = capsys.readouterr()
    assert "12 true, 11 of them found, 1 spurious" in out
    if said:
        assert error == f"ff-compare: beyond the tolerance: {said}\n"
    else:
        assert error == "" and "Verdict  within the tolerance" in out


def test_options_of_the_command(lists: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("ff-compare", "true.csv", "found", "-page", "page.html")
    assert in_process(*line, cwd=lists) == 0
    said, page = capsys.readouterr().out, (lists / "page.html").read_text()
    assert said.splitlines()[-1] == "Next  open page.html"
    assert "12 true, 11 of them found" in page and "misorientation (°)" in page and "without a partner" in page
    for wrong, message in (
        ("-tolPart 0", "-tolPart"),
        ("-tolAngle -1", "-tolAngle"),
        ("-page true.csv", "is an input"),
    ):
        assert in_process("ff-compare", "true.csv", "found", *wrong.split(), cwd=lists) == 2
        assert message in capsys.readouterr().err
    # The best 90 percent of eleven pairs are ten; one is moved away.
    text = (lists / "true.csv").read_text().splitlines()
    words = text[9].split("\t")
    words[10] = str(float(words[10]) + 20)
    (lists / "true.csv").write_text("\n".join([*text[:9], "\t".join(words), *text[10:]]) + "\n")
    assert in_process("ff-compare", "true.csv", "found", "-tolPosition", 5, cwd=lists) == 1
    assert in_process("ff-compare", "true.csv", "found", "-tolPosition", 5, "-tolPart", 90, cwd=lists) == 0


def test_no_partner_at_all_is_beyond_any_tolerance(
    lists: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    write(lists / "other.csv", quaternions(2, 50), np.zeros((2, 3)))
    assert in_process("ff-compare", "true.csv", "other.csv", "-tolPosition", 1000, cwd=lists) == 1
    assert "no grain has a partner" in capsys.readouterr().err


def test_one_partner_each(tmp_path: Path) -> None:
    """Two true grains, of which one was found, share it, or one is lost."""
    q = np.repeat(quaternions(1, 2), 2, axis=0)
    write(tmp_path / "true.csv", q, np.array([[0.0, 0, 0], [30.0, 0, 0]]))
    write(tmp_path / "found.csv", q[:1], np.array([[28.0, 0, 0]]))
    shared = compare(tmp_path / "true.csv", tmp_path / "found.csv")
    assert shared.recovered == 2 and len(shared.lost) == 0
    single = compare(tmp_path / "true.csv", tmp_path / "found.csv", one_to_one=True)
    assert single.true_id.tolist() == [2] and single.lost.tolist() == [1] and single.spurious == 0


def test_as_many_partners_as_there_can_be(tmp_path: Path) -> None:
    """The nearest pair is given up where that leaves another grain alone."""
    q = np.repeat(quaternions(1, 2), 2, axis=0)
    write(tmp_path / "true.csv", q, np.array([[0.0, 0, 0], [10.0, 0, 0]]))
    write(tmp_path / "found.csv", q, np.array([[8.0, 0, 0], [40.0, 0, 0]]))
    found = compare(tmp_path / "true.csv", tmp_path / "found.csv", one_to_one=True)
    assert sorted(zip(found.true_id.tolist(), found.grain_id.tolist(), strict=True)) == [(1, 1), (2, 2)]


def test_lists_in_memory_and_without_cells(lists: Path) -> None:
    """A list whose grains have no cells has the unstrained one; without strains there is nothing to say of them."""
    true, found = read_grain_list(lists / "true.csv"), read_grain_list(lists / "found")
    both = compare(true, found, one_to_one=True)
    direct = compare(lists / "true.csv", lists / "found" / "Grains.csv", one_to_one=True)
    np.testing.assert_allclose(both.misorientation, direct.misorientation, atol=1e-9)
    np.testing.assert_allclose(both.lattice_strain, direct.lattice_strain, atol=1e-12)
    found.cells[:] = np.nan
    bare = compare(true, found, one_to_one=True)
    np.testing.assert_allclose(bare.lattice_strain, 0, atol=1e-9)
    assert bare.recovered == 11 and bare.fable is None
