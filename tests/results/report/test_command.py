"""``ff-report``: what it reads, writes and says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import many_grains
import pytest

Call = Callable[..., int]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "LayerNr_1"
    many_grains.write(folder, 4)
    return folder


def test_every_option(layer: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.html"
    words = ["-o", "page.html", "-montages", 0, "-nCPUs", 1, "-archive", layer / many_grains.ARCHIVE]
    assert in_process("ff-report", layer, *words, cwd=tmp_path) == 0
    said = capsys.readouterr().out
    assert f"open {path} in a browser" in said and "4" in said
    assert "4 grains in LayerNr_1" in path.read_text() and {entry.name for entry in tmp_path.iterdir()} == {
        "page.html",
        "page.png",
    }


def test_the_page_of_the_layer(layer: Path, tmp_path: Path, in_process: Call) -> None:
    """In the layer folder, by the name of the scan; without frames the page says what is missing."""
    assert in_process("ff-report", cwd=layer) == 0
    (path,) = layer.glob("*_report.html")
    assert path.name == "many.analysis.MIDAS_report.html" and "4 grains" in path.read_text()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere"], 1, "nowhere"),
        (["-montages", -1], 2, "-montages"),
        (["-o", "Grains.csv"], 2, "Grains.csv"),
        (["-nCPUs", 0], 2, "nCPUs"),
    ],
)
def test_mistakes(
    layer: Path, words: list[object], code: int, says: str, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (layer / "Grains.csv").read_bytes()
    assert in_process("ff-report", *words, cwd=layer) == code
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert (layer / "Grains.csv").read_bytes() == before
