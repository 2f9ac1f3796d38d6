"""``ff-stitch``, ``match_grains.py stitch``: docs/theory/matching.md#stitching."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.experiment.orientation import matrices_from_quaternions
from midas.results.matching.pairs import stitch_layers
from midas.results.matching.sets import aggregate_grains

from .grain_files import angle, cubic_group, quaternions, rows, write

Call = Callable[..., int]


def scattered(folder: Path, seed: int) -> list[Path]:
    """Four layers of a few orientations at places that lie close together, so that chains of neighbours form."""
    random = np.random.default_rng(seed)
    base = quaternions(3, seed)
    files = []
    for layer in range(4):
        count = int(random.integers(4, 9))
        turned = base[random.integers(0, 3, count)] + 0.001 * random.standard_normal((count, 4))
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        x = random.uniform(-30, 30, (count, 3))
        files.append(write(folder / f"LayerNr_{layer}" / "Grains.csv", turned, x))
    return files


@pytest.mark.parametrize("seed", range(5))
def test_against_a_plain_double_loop(seed: int, tmp_path: Path) -> None:
    grains = aggregate_grains(scattered(tmp_path, seed), 20.0)
    group = cubic_group()
    u, layer = matrices_from_quaternions(grains.numbers(("Q0", "Q1", "Q2", "Q3"))), grains["LayerNr"]
    x = grains.numbers(("X", "Y", "Z"))
    merged = np.zeros(len(x), bool)
    for i in range(len(x)):
        for j in range(i + 1, len(x)) if not merged[i] else ():
            near = not merged[j] and layer[i] != layer[j] and np.linalg.norm(x[i] - x[j]) <= 45
            if near and angle(u[i], u[j], group) < 0.4:
                x[i], merged[j] = (x[i] + x[j]) / 2, True
    assert 3 < merged.sum() < len(x) - 3
    before = grains.columns.copy()
    found = stitch_layers(grains, 225, 0.4, 45.0)
    np.testing.assert_array_equal(grains.columns, before)
    np.testing.assert_array_equal(found["UniqueID"], grains["UniqueID"][~merged])
    np.testing.assert_allclose(found.numbers(("X", "Y", "Z")), x[~merged], atol=1e-9)


def test_table_of_stitch(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """A grain in two layers stands once, in the middle of its two places; one beside it in its own layer stays."""
    q = quaternions(2, 1)
    write(
        tmp_path / "LayerNr_1" / "Grains.csv", q[[0, 0, 1]], np.array([[0.0, 0, 40], [5, 0, 40], [90, 0, 0]]), [4, 5, 6]
    )
    write(tmp_path / "LayerNr_2" / "Grains.csv", q[:1], np.array([[10.0, 0, -40]]), [4], radii=60.0)
    line = ["stitch", "--layers", "LayerNr_1", "LayerNr_2", "--beam-thickness", 100, "--space-group", 225]
    assert in_process("match_grains.py", *line, "-v", cwd=tmp_path) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-3:] == ["Grains of all layers    4", "Grains after stitching  3", "Done."]
    header, table = rows(tmp_path / "StitchedGrains.csv")
    assert header == [
        *("UniqueID", "LayerNr", "OrigGrainID", *(f"O{i}" for i in range(9))),
        *("X", "Y", "Z", "GrainSize", "Q0", "Q1", "Q2", "Q3"),
    ]
    assert [row[:3] for row in table] == [["1", "0", "4"], ["2", "0", "5"], ["3", "0", "6"]]
    assert table[0][12:16] == ["5.000000", "0.000000", "50.000000", "50.000000"]
    assert table[1][12:16] == ["5.000000", "0.000000", "40.000000", "50.000000"]


def test_layers_out_of_order_are_noticed(tmp_path: Path, in_process: Call, caplog: pytest.LogCaptureFixture) -> None:
    """What a shell makes of LayerNr_*: 1, 10, 2."""
    for number in (1, 2, 10):
        write(tmp_path / f"LayerNr_{number}" / "Grains.csv", quaternions(1, number), np.zeros((1, 3)))
    line = ["--beam-thickness", 100, "--space-group", 225]
    assert in_process("ff-stitch", "--layers", "LayerNr_1", "LayerNr_10", "LayerNr_2", *line, cwd=tmp_path) == 0
    assert "LayerNr_2 comes after LayerNr_10" in caplog.text
    caplog.clear()
    assert in_process("ff-stitch", "--layers", "LayerNr_1", "LayerNr_2", "LayerNr_10", *line, cwd=tmp_path) == 0
    assert "comes after" not in caplog.text
