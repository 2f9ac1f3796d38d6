"""The page: what is in it, for any number of grains, and that text stays text."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import many_grains
import numpy as np
import pytest
from markupsafe import escape

import midas
from midas.formats.grains import GRAINS, GrainsHeader
from midas.formats.layer import Layer
from midas.formats.run_record import Input, RunRecord, StepRecord
from midas.formats.table import Table
from midas.results import report
from midas.results.report.page import page
from midas.runtime.errors import FormatError

SECTIONS = ["verdicts", "run", "grains", "powder", "residuals", "orientations", "misorientations", "sizes", "strains"]
EVIL = "<script>alert('x')</script>"


class Outline(HTMLParser):
    """Elements of a page that run, load or hold data."""

    def __init__(self, text: str):
        super().__init__()
        self.sections: list[str] = []
        self.scripts = 0
        self.data: dict[str, str] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.attributes += attrs
        self._open = ""
        if tag == "section":
            self.sections.append(str(values["id"]))
        if tag == "script":
            if values.get("type") == "application/json":
                self._open = str(values["id"])
            else:
                self.scripts += 1

    def handle_data(self, data: str) -> None:
        if self._open:
            self.data[self._open] = data
            self._open = ""


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "LayerNr_1"
    many_grains.write(folder, 15)
    return folder


@pytest.fixture(scope="module")
def text(layer: Path) -> str:
    """The page of that layer, of which no run left a record."""
    return text_of(layer)


def text_of(folder: Path, record: RunRecord | None = None) -> str:
    return page(midas.read_results(folder), record, report.PageOptions(montages=0))


def made(folder: Path, count: int, space_group: int = 225) -> Layer:
    """A grain list and nothing else."""
    layer = Layer(folder)
    columns = dict.fromkeys(GRAINS.names, np.arange(float(count)))
    columns |= {name: np.full(count, float(name in ("O11", "O22", "O33"))) for name in GRAINS.names[1:10]}
    columns |= {
        name: np.full(count, 4.0 if name in "abc" else 90.0) for name in ("a", "b", "c", "alpha", "beta", "gamma")
    }
    header = GrainsHeader(count, 0, 0, 0, 1, space_group, (4.0, 4.0, 4.0, 90.0, 90.0, 90.0))
    GRAINS.write(layer.grains, Table.from_columns(GRAINS.names, columns), header=header.text())
    return layer


def test_all_sections(text: str) -> None:
    page = Outline(text)
    assert page.sections == SECTIONS
    assert "15 grains in LayerNr_1" in text and "Nothing suspicious" in text
    # One script of plotly and one of ours; all others hold data.
    assert page.scripts == 2
    grains = json.loads(page.data["data-grains"])
    names = [column["name"] for column in grains["columns"]]
    assert grains["n"] == 15 and {"grain", "x", "radius", "completeness", "sigma_x", "flag", "e33"} <= set(names)
    choices = [choice["name"] for choice in json.loads(page.data["data-choices"])]
    assert choices[:3] == ["ipf_x", "ipf_y", "ipf_z"] and "von_mises_strain" in choices
    for figure in ("ipf-key", "residuals-eta", "strain-components", "powder-profile", "pole-figure-111"):
        assert json.loads(page.data[f"data-figure-{figure}"])["data"]


def test_nothing_is_fetched(text: str) -> None:
    page = Outline(text)
    assert not [name for name, value in page.attributes if name in ("src", "srcset", "action")]
    assert all(str(value).startswith("#") for name, value in page.attributes if name == "href")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    (policy,) = (str(v) for n, v in page.attributes if n == "content" and "default-src" in str(v))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_text_of_files_is_text(tmp_path: Path) -> None:
    folder = tmp_path / "a <b> & c"
    many_grains.write(folder, 1)
    with (folder / "paramstest.txt").open("a") as stream:
        stream.write(f"GrainsFile {EVIL}\n")
    (folder / "midas_log").mkdir()
    (folder / "midas_log" / "diagnosis.txt").write_text(f"- {EVIL} is wrong\n")
    steps = (StepRecord(EVIL, 1.0, {EVIL: 1}),)
    record = RunRecord("ff-midas", EVIL, "2026-11-26T10:00:00Z", f"ff-midas {EVIL}", "0" * 64,
                       (Input("raw", EVIL, 1, "0" * 64),), 1, 1, steps, (EVIL,), {EVIL: EVIL})  # fmt: skip
    text = text_of(folder, record)
    assert EVIL not in text and text.count(str(escape(EVIL))) >= 6
    assert "1 grain in a &lt;b&gt; &amp; c" in text
    assert Outline(text).scripts == 2


def test_facts_of_the_run(layer: Path) -> None:
    record = RunRecord("ff-midas", "10.1", "2026-11-26T10:00:00Z", "ff-midas demo", "ab" * 32,
                       (Input("raw", "/data/scan.h5", 12345, "cd" * 32),), 4, 1,
                       (StepRecord("peaksearch", 1.25, {"frames": 360, "peaks": 99999}),),
                       ("the rings are weak",), {"Lsd": "file", "Width": "default"})  # fmt: skip
    text = text_of(layer, record)
    for words in ("ff-midas demo", "/data/scan.h5", "12,345", "1.25", "99,999", "the rings are weak", "4 threads"):
        assert words in text
    assert re.search(r"<td>Lsd</td><td>[^<]*</td><td>file</td>", text)
    assert "Nothing suspicious" not in text


def test_one_grain(tmp_path: Path) -> None:
    many_grains.write(tmp_path, 1)
    page = Outline(text_of(tmp_path))
    assert page.sections == [name for name in SECTIONS if name != "misorientations"]
    assert json.loads(page.data["data-grains"])["n"] == 1


def test_no_grains_says_why(tmp_path: Path) -> None:
    layer = made(tmp_path, 0)
    text = text_of(tmp_path)
    assert "0 grains in" in text and "There are no grains, and the run left no diagnosis." in text
    layer.logs.mkdir()
    layer.diagnosis.write_text("- the rings lie 900 ppm beside\nring 1 of 5\n")
    text = text_of(tmp_path)
    assert "There are no grains: the rings lie 900 ppm beside" in text and "ring 1 of 5" in text
    assert Outline(text).sections == ["verdicts", "run"]


def test_a_lone_grain_list(tmp_path: Path) -> None:
    """What is not there is left out, and the page says so."""
    text = text_of(made(tmp_path, 3, space_group=14).folder)
    page = Outline(text)
    assert "residuals" not in page.sections and "data-spots" not in page.data
    assert "No spots: " in text and "3 grains in" in text


def test_a_list_of_true_grains_is_no_result(tmp_path: Path) -> None:
    layer = made(tmp_path, 1)
    lines = layer.grains.read_text().splitlines()
    layer.grains.write_text("\n".join([*lines[:9], "\t".join(lines[9].split("\t")[:19])]) + "\n")
    with pytest.raises(FormatError, match="line 10"):
        report.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Grains.csv"]


def test_the_same_layer_is_the_same_page(layer: Path, text: str) -> None:
    assert text_of(layer) == text


def test_a_page_that_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SOURCE_DATE_EPOCH it has nothing of the machine and of the day: no times, no number of threads."""
    many_grains.write(tmp_path, 1)
    first = RunRecord("ff-midas", "10.1", "1970-01-02T00:00:00Z", "ff-midas demo", "ab" * 32, (), 1, 1,
                      (StepRecord("peaksearch", 1.25, {"peaks": 9}),), (), {})  # fmt: skip
    again = dataclasses.replace(first, threads=2, steps=(StepRecord("peaksearch", 77.7, {"peaks": 9}),))
    assert text_of(tmp_path, first) != text_of(tmp_path, again)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    text = text_of(tmp_path, first)
    assert text == text_of(tmp_path, again)
    assert "ff-midas demo" in text and "9 peaks" in text and "77.7" not in text


def test_keys_are_listed_once_in_one_order(tmp_path: Path) -> None:
    """Whatever the spelling in paramstest.txt; two spellings of one key were in the order of their hashes."""
    record = RunRecord("ff-midas", "10.1", "1970-01-02T00:00:00Z", "ff-midas demo", "ab" * 32, (), 1, 1, (), (),
                       {"StepSizeOrient": "file", "Lsd": "default"})  # fmt: skip
    many_grains.write(tmp_path, 1)
    assert "StepsizeOrient 0.2" in (tmp_path / "paramstest.txt").read_text()
    text = text_of(tmp_path, record)
    assert "<td>StepSizeOrient</td><td>0.2</td><td>file</td>" in text
    assert "StepsizeOrient" not in text and "<td>Distance</td>" not in text
    keys = re.findall(r"<tr><td>(\w+)</td><td>[^<]*</td><td>(?:file|default|)</td></tr>", text)
    assert len(keys) > 10 and keys == sorted(set(keys), key=str.casefold)


def test_its_place(layer: Path, tmp_path: Path) -> None:
    assert report.write(layer, tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert report.write(made(tmp_path, 2).folder).name == "output_report.html"
    assert report.write(tmp_path / "Grains.csv").name == "Grains_report.html"


def test_it_is_named_as_the_consolidated_file(tmp_path: Path) -> None:
    """The run names its files after the raw file, which nobody knows any more when the page is written again."""
    many_grains.write(tmp_path, 2)
    (tmp_path / "gold_2um_consolidated.h5").touch()
    assert report.write(tmp_path).name == "gold_2um_report.html"
    (tmp_path / "other_consolidated.h5").touch()
    assert report.write(tmp_path).name == "many.analysis.MIDAS_report.html"
    assert (tmp_path / "gold_2um_report.png").exists()


def test_stresses(tmp_path: Path, in_process: Callable[..., int]) -> None:
    """Averages by component, slip systems, uncertainties; and none of them once the grains are others."""
    many_grains.write(tmp_path, 8)
    assert in_process("ff-stress", tmp_path, "-material", "nickel", "-load", 0, 0, 1, cwd=tmp_path) == 0
    text = text_of(tmp_path)
    page = Outline(text)
    assert page.sections[-1] == "stresses" and "± sampling" in text and "slip system" in text
    names = {column["name"] for column in json.loads(page.data["data-grains"])["columns"]}
    assert {"stress_vm", "s11", "sigma_s11", "shear", "schmid"} <= names
    lines = (tmp_path / "Grains.csv").read_text().splitlines()
    (tmp_path / "Grains.csv").write_text("\n".join([*lines, "", ""]))
    text = text_of(tmp_path)
    assert "stresses" not in Outline(text).sections and "is of other grains; run ff-stress again" in text


@pytest.mark.golden
def test_report_of_a_legacy_run(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("ds2", "Grains.csv", "SpotMatrix.csv")
    path = report.write(folder)
    page = path.read_text()
    assert "40 grains in" in page
