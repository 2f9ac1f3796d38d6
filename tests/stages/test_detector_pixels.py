"""DetectorPixels.bin: which cells of the raster around the beam the detector sees (docs/theory/region.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from midas._ext.physics.region import VERDICTS
from midas.archive import ArchiveWriter
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage
from midas.experiment.region import accepted_region
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.stages.detector_pixels import write_detector_pixels

PX, LSD = 200.0, 1e6
RING_RADII = np.array([4000.0, 6000.0, 9000.0])
TEXT = f"Lsd {LSD}\npx {PX}\nRhoD 1e4\nMinEta 0\n"


def layer_of(folder: Path, shape: tuple[int, int], mask: NDArray[np.uint8] | None = None) -> Layer:
    path = folder / "scan.MIDAS.zip"
    with ArchiveWriter(path, (2, *shape), np.uint16) as writer:
        writer.add_frames("exchange/data", (2, *shape), [np.zeros(shape, np.uint16)] * 2)
        if mask is not None:
            writer.add_frames("exchange/mask", (1, *shape), [mask])
    return Layer(folder, path)


def written(layer: Layer, text: str) -> Parameters:
    parameters = Parameters.parse(TEXT + text, "ps.txt").for_stage("fit_setup")
    two_theta = np.degrees(np.arctan(RING_RADII / LSD))
    write_detector_pixels(layer, DetectorGeometry.from_parameters(parameters), two_theta, parameters)
    return parameters


def seen(layer: Layer, parameters: Parameters, y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.bool_]:
    region = accepted_region(parameters, None, layer.detector_pixels)
    none = np.zeros(len(y))
    return region.verdicts(none, none + 90, y, z) == VERDICTS["accepted"]


def ring_points(radius: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    eta = np.radians(np.linspace(-179.3, 179.7, 720))
    return -radius * np.sin(eta), radius * np.cos(eta)


@pytest.mark.parametrize("operations", [(), (1,), (2,), (3, 1)])
@pytest.mark.parametrize("tilts", ["", "ty 12\ntz -9\np2 1e-3\n"])
@pytest.mark.parametrize("masked", [False, True])
def test_what_the_detector_sees_is_expected(
    operations: tuple[int, ...], tilts: str, masked: bool, tmp_path: Path
) -> None:
    """70 rows of 100 columns, or a mask with a stripe: every point of a ring, farther from an edge than a pixel."""
    shape = (70, 100)
    mask = np.zeros(shape, np.uint8)
    mask[30:36] = 1
    layer = layer_of(tmp_path, shape, mask if masked else None)
    text = "BC 55 48\n" + tilts + "".join(f"ImTransOpt {number}\n" for number in operations)
    parameters = written(layer, text)
    detector, image = DetectorGeometry.from_parameters(parameters), PaddedImage(*shape, operations)
    on_both_sides = set()
    for radius in RING_RADII * 1.01:
        y, z = ring_points(radius)
        column, row = np.transpose([image.to_raw(*place) for place in zip(*detector.pixel_of_plane(y, z), strict=True)])
        edges = [column + 0.5, 99.5 - column, row + 0.5, 69.5 - row]
        depth = np.min(edges, axis=0)
        if masked:
            depth = np.minimum(depth, np.maximum(29.5 - row, row - 35.5))
        clear = np.abs(depth) > 1.5
        np.testing.assert_array_equal(seen(layer, parameters, y, z)[clear], depth[clear] > 0)
        on_both_sides |= set((depth[clear] > 0).tolist())
    assert on_both_sides == {True, False}


@pytest.mark.parametrize("text", ["BC 100 100\n", "BC 20 20\nDetectorRegion 0\n", "BC 20 20\nLegacyDigits 1\n"])
def test_no_file_where_it_would_say_nothing(text: str, tmp_path: Path) -> None:
    layer = layer_of(tmp_path, (200, 200), np.zeros((200, 200), np.uint8))
    layer.detector_pixels.write_bytes(b"of an earlier run")
    written(layer, text)
    assert not layer.detector_pixels.exists()


def test_beside_the_rings_nothing_is_refused(tmp_path: Path) -> None:
    """The raster is looked at near the rings only; a masked place between them is of no concern."""
    mask = np.zeros((200, 200), np.uint8)
    mask[100:104, 135:140] = 1  # 7.0 ... 7.9 mm
    layer = layer_of(tmp_path, (200, 200), mask)
    written(layer, "BC 100 100\n")
    assert not layer.detector_pixels.exists()
    mask[100:104, 128:131] = 1  # and on the ring of 6 mm
    layer = layer_of(tmp_path, (200, 200), mask)
    parameters = written(layer, "BC 100 100\n")
    y, z = np.array([-5900.0, -7500.0, 5900.0]), np.full(3, 300.0)
    assert seen(layer, parameters, y, z).tolist() == [False, True, True]
