"""The page in a browser: Chromium without a window, by way of selenium; skipped where either is not installed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import many_grains
import numpy as np
import pytest

import midas
from midas.results import report

webdriver = pytest.importorskip("selenium.webdriver", reason="the page is tested in a browser with selenium")
_CHROMIUM, _DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (_CHROMIUM and _DRIVER), reason="needs chromium and chromedriver"),
    pytest.mark.slow,
]

WIDTHS = (390, 800, 1280, 1600)
COUNT = 15
_OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --enable-unsafe-swiftshader --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
#: scripts that ask the page
_DRAWN = "return document.querySelectorAll('.js-plotly-plot').length"
_FIGURES = "return document.querySelectorAll('[data-figure]').length"
_ROWS = (
    "return [...document.querySelectorAll('#grain-table tr.row')].map((r) => [...r.cells].map((c) => c.textContent))"
)
_HEADS = "return [...document.querySelectorAll('#grain-table th')].map((h) => h.dataset.column)"
_POINTS = "return document.getElementById(arguments[0]).data.map((trace) => trace.x.length)"
#: beside the figures of the sections: map, views, and three of a grain
_OWN = 5


class Page:
    """A page that is open in the browser."""

    def __init__(self, driver: Any):
        self.driver = driver

    def ask(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object, seconds: float = 20.0) -> Any:
        """Until the answer is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.ask(script, *arguments):
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {script}")

    def open(self, path: Path, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.errors()  # those of an earlier page
        self.driver.get(path.as_uri())
        self.wait("return window.midasReport && window.midasReport.ready")

    def see(self, element: str) -> None:
        self.ask("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", element)

    def see_all(self) -> None:
        """Scroll through the whole page, so that all of it is drawn."""
        top = 0
        while top < self.ask("return document.documentElement.scrollHeight"):
            self.ask("window.scrollTo({top: arguments[0], behavior: 'instant'})", top)
            time.sleep(0.05)
            top += 500

    def click(self, selector: str) -> None:
        self.ask("document.querySelector(arguments[0]).click()", selector)

    def show(self, text: str) -> str:
        """Filter the table; what the page says of it."""
        self.ask(
            "const f = document.getElementById('filter'); f.value = arguments[0]; f.dispatchEvent(new Event('input'))",
            text,
        )
        said: str = self.ask("return document.getElementById('filter-says').textContent")
        return said

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for word in (*_OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_DRIVER))
    yield Page(driver)
    driver.quit()


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    many_grains.write(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def file(layer: Path) -> Path:
    return report.write(layer, layer / "page.html", report.PageOptions(montages=0))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(page: Page, file: Path, width: int) -> None:
    """Nothing is wider than the window, and every figure is drawn."""
    page.open(file, width)
    page.see_all()
    page.wait(f"{_DRAWN} === arguments[0]", page.ask(_FIGURES) + _OWN)
    assert page.ask("return document.documentElement.scrollWidth <= window.innerWidth")
    assert not page.ask("return document.querySelectorAll('.failed').length")
    assert page.errors() == []


def test_only_what_is_seen_is_drawn(page: Page, file: Path) -> None:
    page.open(file, 1280, 600)
    assert page.ask(_DRAWN) < page.ask(_FIGURES) / 2


def test_a_click_in_the_table_shows_the_spots(page: Page, file: Path, layer: Path) -> None:
    page.open(file, 1280)
    page.see("grain-scroll")
    page.click("#grain-table tr.row:nth-of-type(4)")
    rows = page.ask(_ROWS)
    grain = int(rows[2][0])  # the first row of all keeps the place of those above
    assert page.ask("return window.midasReport.selected") == grain
    assert page.ask("return document.getElementById('grain-title').textContent") == f"Grain {grain}"
    page.see("grain-plots")
    results = midas.read_results(layer)
    spots = len(results[grain].spots)
    page.wait("return document.getElementById('grain-detector').data")
    for figure in ("grain-detector", "grain-angles"):
        names = page.ask("return document.getElementById(arguments[0]).data.map((t) => t.name)", figure)
        points = dict(zip((name.split(" (")[0] for name in names), page.ask(_POINTS, figure), strict=True))
        assert points["observed"] + points.get("shared", 0) == spots
    # The observed spots are where they were recorded.
    place = "return [...document.getElementById('grain-detector').data[0].x]"
    assert np.sort(page.ask(place)) == pytest.approx(np.sort(results[grain].spots["y_recorded"]), abs=0.05)
    position = page.ask("return document.querySelector('#grain-numbers td.number').textContent")
    assert float(position.split(" ± ")[0]) == pytest.approx(results[grain].position[0], abs=0.06)
    assert page.errors() == []


def test_a_click_in_the_map_shows_the_grain(page: Page, file: Path) -> None:
    page.open(file, 1280)
    page.see("map3d")
    page.wait("return document.getElementById('views').data")
    page.ask("document.getElementById('views').emit('plotly_click', {points: [{customdata: arguments[0]}]})", COUNT - 1)
    rows = page.ask(_ROWS)
    assert str(page.ask("return window.midasReport.selected")) == rows[COUNT - 1][0]
    assert page.ask("return document.querySelectorAll('#grain-table tr.selected').length") == 1


def test_keys_walk_through_the_table(page: Page, file: Path) -> None:
    page.open(file, 1280)
    page.click("#grain-table tr.row")
    page.ask("document.getElementById('grain-scroll').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown'}))")
    assert str(page.ask("return window.midasReport.selected")) == page.ask(_ROWS)[1][0]


def test_sorting(page: Page, file: Path) -> None:
    page.open(file, 1280)
    column = page.ask(_HEADS).index("radius")
    head = "#grain-table th[data-column=radius]"
    for turn, direction in ((1, "ascending"), (-1, "descending")):
        page.click(f"{head} button")
        values = [float(row[column]) for row in page.ask(_ROWS)]
        assert len(values) == COUNT and values == sorted(values, reverse=turn < 0)
        assert page.ask("return document.querySelector(arguments[0]).getAttribute('aria-sort')", head) == direction


def test_filtering(page: Page, file: Path, layer: Path) -> None:
    page.open(file, 1280)
    page.see("map3d")
    page.wait("return document.getElementById('views').data")
    grains = midas.read_results(layer).grains
    middle = float(np.median(grains["radius"])) + 1e-3
    wanted = int((grains["radius"] < middle).sum())
    assert page.show(f"radius < {middle}") == f"{wanted} of {COUNT} grains"
    assert len(page.ask(_ROWS)) == wanted
    page.wait("return document.getElementById('views').data[0].x.length === arguments[0]", wanted)
    page.wait("return document.getElementById('map3d').data[0].x.length === arguments[0]", wanted)
    assert page.show(f"radius<{middle} and x > 0").startswith(
        f"{int(((grains['radius'] < middle) & (grains['position'][:, 0] > 0)).sum())} of"
    )
    assert page.show(str(grains["grain_id"][3])) == f"1 of {COUNT} grains"
    assert "not understood: colour" in page.show("colour = 3")
    least = float(grains["radius"].min()) - 1
    said = page.show(f"radius > {least} < 7")  # 7 is not a grain then
    assert said.startswith(f"{COUNT} of {COUNT} grains; not understood: <")
    assert page.show("σ X < 1e9") == f"{COUNT} of {COUNT} grains" and page.show("σ X > 100") == f"0 of {COUNT} grains"
    assert page.show("radius > 1e9") == f"0 of {COUNT} grains" and page.ask(_ROWS) == []
    assert page.show("") == f"{COUNT} of {COUNT} grains"
    assert page.errors() == []


def test_colours(page: Page, file: Path) -> None:
    page.open(file, 1280)
    page.see("map3d")
    page.wait("return document.getElementById('map3d').data")
    assert not page.ask("return document.getElementById('key').hidden")
    titles = page.ask("return [...document.getElementById('colour').options].map((o) => o.textContent)")
    assert "Completeness" in titles and any(title.startswith("Von Mises strain") for title in titles)
    for choice, title in enumerate(titles):
        page.ask(
            "const m = document.getElementById('colour'); m.value = arguments[0]; m.dispatchEvent(new Event('change'))",
            choice,
        )
        assert page.ask("return document.getElementById('key').hidden") == (not title.startswith("Orientation"))
    assert page.errors() == []


def test_text_is_not_executed(page: Page, tmp_path: Path) -> None:
    """Not even where it ends up in the page: the policy names the scripts that may run."""
    folder = tmp_path / "<img src=x onerror=window.evil=1>"
    many_grains.write(folder, 1)
    page.open(report.write(folder, tmp_path / "page.html", report.PageOptions(montages=0)), 800)
    page.ask(
        "const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=\"window.evil = 1\">';"
        "document.body.append(s)"
    )
    page.see_all()
    assert page.ask("return window.evil") is None
    assert any("Content Security Policy" in error for error in page.errors())
    assert page.ask("return document.querySelector('h1').textContent").endswith(folder.name)


@pytest.mark.long
def test_five_thousand_grains(page: Page, tmp_path: Path) -> None:
    many_grains.write(tmp_path, 5000)
    path = report.write(tmp_path, tmp_path / "page.html", report.PageOptions(montages=0))
    assert path.stat().st_size < 25e6
    started = time.monotonic()
    page.open(path, 1280)
    assert time.monotonic() - started < 10  # on a busy machine; three seconds on one that is not
    assert page.ask("return performance.getEntriesByType('navigation')[0].domInteractive") < 5000
    assert len(page.ask(_ROWS)) < 100
    page.see("map3d")
    page.wait("return document.getElementById('map3d').data")
    page.click("#grain-table th[data-column=x] button")
    column = page.ask(_HEADS).index("x")
    values = [float(row[column]) for row in page.ask(_ROWS)]
    least = float(midas.read_results(tmp_path).grains["position"][:, 0].min())
    assert values == sorted(values) and values[0] == pytest.approx(least, abs=0.06)
    page.see_all()
    assert not page.ask("return document.querySelectorAll('.failed').length") and page.errors() == []
