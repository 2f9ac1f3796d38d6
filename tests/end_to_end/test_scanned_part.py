"""Scans of a part of the turn without `OmegaRange` and `BoxSize`: what was not measured is not expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas import simulation
from midas.archive import DATA, Archive, ArchiveWriter
from midas.formats.grains import read_grains
from midas.parameters import SCAN
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import compare
from midas.simulation import samples

GRAINS = 4

#: of the demo's parameters
LEFT_OUT = (
    *("OmegaRange", "BoxSize", "MinOmeSpotIDsToIndex", "MaxOmeSpotIDsToIndex"),
    *("Noise", "Background", "DarkFrames", "DarkLevel", "DarkNoise"),
)


def simulated(folder: Path, start: float, end: float, **changes: object) -> Path:
    """The archive of a scan of four grains, without omega ranges and boxes."""
    parameters = samples.write(
        "demo", folder, NrPixels=256, px=800, OmegaStart=start, OmegaEnd=end,
        OmegaStep=np.sign(end - start), OmegaSpread=0.3, WriteLegacyBins=0,
        **{"BC": (128, 128), **dict.fromkeys(LEFT_OUT), **changes},
    )  # fmt: skip
    truth = folder / samples.GRAINS_FILE
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([f"%NumGrains {GRAINS}", *lines[1 : 9 + GRAINS], ""]))
    return simulation.run(parameters, threads=1, folder=folder).data.archive


def analysed(
    folder: Path, archive: Path, caplog: pytest.LogCaptureFixture, step: float = 1.0, least: float = 0.97
) -> list[str]:
    """Analyse, see that all grains are there and complete, and return the region's lines of paramstest.txt."""
    with caplog.at_level("WARNING"):
        layers.run(Options(data_file=archive, result_folder=folder, threads=1, convert=False, per_spot_groups=0))
    assert not [record for record in caplog.records if "OmegaRange" in record.getMessage()]
    layer = folder / "LayerNr_1"
    found = compare(folder / samples.GRAINS_FILE, layer / "Grains.csv", omega_step=step, turn_positions=True)
    assert (found.recovered, found.spurious) == (GRAINS, 0)
    assert read_grains(layer / "Grains.csv")["Confidence"].min() > least
    lines = (layer / "paramstest.txt").read_text().splitlines()
    return [line for line in lines if line.startswith(("OmegaRange", "BoxSize"))]


NO_BOX = "BoxSize -1000000000.000000 1000000000.000000 -1000000000.000000 1000000000.000000;"


def test_a_third_of_a_turn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = analysed(tmp_path, simulated(tmp_path, 60, -60), caplog, -1.0)
    assert lines == ["OmegaRange -60.000000 60.000000;", NO_BOX]


def test_two_wedges(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Frames of -70 ... -10 and 20 ... 80 degrees, the second wedge first; their angles stand in `omegaCenter`."""
    archive = simulated(tmp_path, -90, 90)
    chosen = [*range(110, 170), *range(20, 80)]
    split = tmp_path / "split.MIDAS.zip"
    with Archive(archive) as opened, ArchiveWriter(split, (len(chosen), 256, 256), opened.frames.dtype) as writer:
        writer.add_frames(DATA, (len(chosen), 256, 256), (opened.frames[i] for i in chosen))
        writer.add_parameters(opened.parameters)
        writer.add_dataset(f"{SCAN}omegaCenter", opened.omegas[chosen])
    lines = analysed(tmp_path, split, caplog)
    assert lines == ["OmegaRange -70.000000 -10.000000;", "OmegaRange 20.000000 80.000000;", NO_BOX, NO_BOX]


@pytest.mark.parametrize(("start", "end", "ranges"), [(90, 270, None), (-90, -270, (-270, -90))])
def test_scans_beyond_half_a_turn(
    start: int, end: int, ranges: tuple[int, int] | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits: dict[str, object] = {}
    if ranges is not None:
        limits = {"OmegaRange": [ranges], "MinOmeSpotIDsToIndex": ranges[0], "MaxOmeSpotIDsToIndex": ranges[1]}
    lines = analysed(tmp_path, simulated(tmp_path, start, end, **limits), caplog, np.sign(end - start))
    halves = ["OmegaRange -180.000000 -90.000000;", "OmegaRange 90.000000 180.000000;"]
    expected = halves if ranges is None else [f"OmegaRange {ranges[0]}.000000 {ranges[1]}.000000;"]
    assert lines[:-1] == [*expected, *[NO_BOX] * (len(expected) - 1)]


@pytest.mark.parametrize("tilts", [(3.0, 5.0, -6.0), (30.0, 15.0, -12.0)])
def test_tilted_detectors(tilts: tuple[float, float, float], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rings are recognised where they are without the tilts; the raw distances lose a part of each."""
    archive = simulated(tmp_path, -60, 60, **dict(zip(("tx", "ty", "tz"), tilts, strict=True)))
    analysed(tmp_path, archive, caplog)


def test_a_detector_beside_the_beam(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A third of each ring lies beyond the detector's edge; a grain that is complete on the detector says so."""
    lines = analysed(tmp_path, simulated(tmp_path, -90, 90, BC=(50, 128), UseFriedelPairs=0), caplog)
    assert lines[0] == "OmegaRange -90.000000 90.000000;"
    assert np.allclose([float(word) for word in lines[1].rstrip(";").split()[1:]], [-164400, 40400, -102800, 102000])


def test_four_panels_round_the_beam(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the gap between the panels hides is not expected: a quarter of the reflections.

    What still is missing touches the mask, and the peak search drops it.
    """
    archive = simulated(tmp_path, -90, 90, UseFriedelPairs=0)
    panels = tmp_path / "panels.MIDAS.zip"
    gap = np.zeros((256, 256), np.uint8)
    gap[116:140] = gap[:, 116:140] = 1
    with Archive(archive) as opened, ArchiveWriter(panels, opened.frames.shape, opened.frames.dtype) as writer:
        writer.add_frames(DATA, opened.frames.shape, (np.where(gap, 0, frame) for frame in opened.frames))
        writer.add_frames("exchange/mask", (1, 256, 256), [gap])
        writer.add_parameters(opened.parameters)
    analysed(tmp_path, panels, caplog, least=0.9)
    assert (tmp_path / "LayerNr_1" / "DetectorPixels.bin").exists()
