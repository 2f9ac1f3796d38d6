"""The picture of the results of a layer."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import many_grains
import numpy as np
import pytest
from PIL import Image
from tiny_scan import Finished

from midas.experiment.orientation import matrices_from_quaternions
from midas.results.colours.keys import ipf_colours
from midas.results.evidence import Predictor
from midas.results.picture import summary_picture, write_picture
from midas.results.picture.map import draw_key
from midas.results.picture.numbers import headlines
from midas.results.reading import Results, read_results
from midas.results.stress.tensors import equivalent_strain


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(scope="module")
def results(finished: Finished) -> Results:
    return read_results(finished[0])


def test_the_same_results_are_the_same_bytes(results: Results) -> None:
    predicted = Predictor.of(results).every()
    first, again = (summary_picture(results, ["All is well."], predicted) for _ in range(2))
    assert first == again and first[:8] == b"\x89PNG\r\n\x1a\n"
    assert opened(first).shape == (1000, 1600, 3)
    assert summary_picture(results, ["All is ill."], predicted) != first


def test_the_file_holds_the_picture(results: Results, tmp_path: Path) -> None:
    path = write_picture(results, tmp_path / "report.png", ["All is well."])
    assert path.read_bytes() == summary_picture(results, ["All is well."])
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.png"]


@pytest.mark.parametrize(("level", "colour"), [("fine", (30, 122, 70)), ("wrong", (179, 38, 30))])
def test_verdicts_have_the_colour_of_their_level(results: Results, level: str, colour: tuple[int, int, int]) -> None:
    text = opened(summary_picture(results, [("HHHHHHHH", level)]))[680:980, 925:1590]
    assert (text == colour).all(axis=2).sum() > 20
    assert (opened(summary_picture(results))[680:980, 925:1590] == colour).all(axis=2).sum() == 0


def test_grains_have_the_colours_of_the_key(results: Results) -> None:
    image = opened(summary_picture(results))
    top_view = image[90:640, 60:610].reshape(-1, 3)
    colours = ipf_colours(results.grains["orientation"], results.space_group, (0, 0, 1), results.cell)
    for colour in colours:
        assert (top_view == colour).all(axis=1).sum() > 100


def test_places_of_the_map(results: Results) -> None:
    """The grain that lies farthest to the left (largest y) is the leftmost disc from above and along the beam."""
    grains = results.grains
    left = int(np.argmax(grains["position"][:, 1] + grains["radius"]))
    colour = ipf_colours(grains["orientation"], results.space_group, (0, 0, 1), results.cell)[left]
    image = opened(summary_picture(results))
    for view in (image[91:639, 61:609], image[701:959, 61:609]):
        painted = (view < 250).any(axis=2)
        first = int(np.flatnonzero(painted.any(axis=0))[0])
        strip = view[:, first : first + 8].reshape(-1, 3)
        assert (strip == colour).all(axis=1).any()


def test_lines_that_do_not_fit_are_named(results: Results) -> None:
    long = ["word " * 200] * 30
    image = opened(summary_picture(results, long))
    assert (image[985:] == 255).all()
    assert not np.array_equal(image, opened(summary_picture(results)))


@pytest.mark.parametrize("count", [0, 1])
def test_few_grains(tmp_path: Path, count: int) -> None:
    results = read_results(many_grains.write(tmp_path / "layer", count).layer.folder)
    image = opened(summary_picture(results, ["No seed was indexed."], Predictor.of(results).every()))
    # With no grain there is no map, but the reason is there.
    assert ((image[200:635, 65:605] < 250).any(axis=2).mean() > 0.1) == bool(count)
    assert (image[680:980, 930:1580] < 128).any()


def test_a_grain_list_alone(results: Results, tmp_path: Path) -> None:
    path = shutil.copy(results.folder / "Grains.csv", tmp_path)
    alone = read_results(path)
    assert not any("spots" in line for line in headlines(alone, None))
    assert opened(summary_picture(alone)).shape == (1000, 1600, 3)


class _Crystal:
    def __init__(self, space_group: int, cell: tuple[float, ...]):
        self.space_group, self.cell = space_group, cell


@pytest.mark.parametrize(
    ("space_group", "cell"),
    [
        (2, (3, 4, 5, 80, 95, 110)), (14, (5, 6, 7, 90, 100, 90)), (62, (5, 6, 7, 90, 90, 90)),
        (88, (5, 5, 7, 90, 90, 90)), (136, (5, 5, 7, 90, 90, 90)), (148, (5, 5, 7, 90, 90, 120)),
        (167, (5, 5, 13, 90, 90, 120)), (176, (5, 5, 7, 90, 90, 120)), (194, (3, 3, 5, 90, 90, 120)),
        (205, (5, 5, 5, 90, 90, 90)), (225, (3, 3, 3, 90, 90, 90)),
    ],
)  # fmt: skip
def test_the_key_of_every_laue_group_holds_the_colours_of_grains(space_group: int, cell: tuple[float, ...]) -> None:
    picture = Image.new("RGB", (320, 320), "white")
    draw_key(picture, _Crystal(space_group, cell), (40, 60, 260, 280))
    painted = np.asarray(picture).reshape(-1, 3).astype(int)
    rng = np.random.default_rng(space_group)
    q = rng.standard_normal((40, 4))
    u = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True))
    for colour in ipf_colours(u, space_group, (0, 0, 1), cell).astype(int):
        assert np.abs(painted - colour).max(axis=1).min() <= 12


def test_headlines_say_what_there_is(results: Results) -> None:
    predicted = Predictor.of(results).every()
    lines = headlines(results, predicted)
    assert any(line.startswith(f"{len(np.unique(results.spots['spot_id']))} spots in grains") for line in lines)
    assert any("expected spots are missing" in line for line in lines)
    fewer = replace(predicted, spots=predicted.spots[:0], starts=predicted.starts * 0)
    assert len(headlines(results, fewer)) == len(headlines(results, None)) == len(lines) - 2


def test_equivalent_strain_of_known_tensors() -> None:
    shear = np.zeros((1, 3, 3))
    shear[0, 0, 1] = shear[0, 1, 0] = 300.0
    tension = np.diag([-150.0, -150.0, 300.0])[None]
    assert np.allclose(equivalent_strain(shear), 2 / np.sqrt(3) * 300)
    assert np.allclose(equivalent_strain(tension + 1000 * np.eye(3)), 300.0)
