"""Frames with too much above threshold: when the peak search ends, and when it only warns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from midas.formats.hkls import LAYOUT as HKLS
from midas.runtime.errors import StageError
from midas.runtime.parallel import Communicator
from midas.stages.crowding import first_looks

from .sized_peaks import warnings
from .small_scan import RADII, Scan, hkls_of, spots

LEVEL = 100


#: what a frame holds does not depend on how peaks are fitted
CENTROIDS = "doPeakFit 0\n"


def noise(frames: int = 10, level: float = LEVEL) -> np.ndarray:
    """What a detector shows without a signal."""
    return np.random.default_rng(3).normal(level, 10, (frames, 64, 64)).astype(np.uint16)


def test_the_frames_that_are_looked_at() -> None:
    assert first_looks(1440) == [0, 205, 411, 616, 822, 1027, 1233, 1439]
    assert first_looks(3) == [0, 1, 2]
    assert first_looks(1) == [0]


@pytest.mark.parametrize(
    ("text", "stacks", "said", "not_said"),
    [
        ("RingThresh 1 20", {}, ("threshold 20", "the dark is missing; give a dark or raise RingThresh"), "more than"),
        ("RingThresh 1 100", {}, ("threshold 100", "the dark is missing"), "MaxNPeaks"),
        (
            "RingThresh 1 5",
            {"dark": noise(2)},
            ("threshold 5", "raise RingThresh, or go on with -force 1"),
            "the dark is",
        ),
        ("RingThresh 1 100\nRingThresh 2 105", {}, ("threshold 100 ... 105",), "MaxNPeaks"),
    ],
)
def test_the_search_ends_with_the_numbers(
    small_scan: Callable[..., Scan], text: str, stacks: dict[str, np.ndarray], said: tuple[str, ...], not_said: str
) -> None:
    scan = small_scan(noise(), CENTROIDS + text, **stacks)
    with pytest.raises(StageError) as caught:
        scan.run()
    message = str(caught.value)
    for part in ("frames 1, 2, 3 are crowded", "% of the ring pixels of frame 1", "median of the frame 100", *said):
        assert part in message
    assert not_said not in message
    assert not scan.files()


def test_the_verdict_is_that_of_all_members(small_scan: Callable[..., Scan]) -> None:
    """Also of those whose own frames are empty."""
    frames = noise(40)
    frames[20:] = 0
    scan, verdicts = small_scan(frames, CENTROIDS + "RingThresh 1 100"), set()
    for threads in (1, 3):
        for comm in (Communicator(), Communicator(0, 2), Communicator(1, 2)):
            with pytest.raises(StageError) as caught:
                scan.run(threads, comm=comm)
            verdicts.add(str(caught.value))
    assert len(verdicts) == 1
    assert "frames 1, 6, 12 are crowded" in verdicts.pop()


def test_force_goes_on(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture) -> None:
    for threads in (1, 2):
        result = small_scan(noise(), CENTROIDS + "RingThresh 1 100").run(threads, force=True)
        assert result.summary["frames"] == 10
        assert result.summary["peaks"] > 50
    assert warnings(caplog).count("10 of 10 frames are crowded, their peaks are doubtful: 1, 2, 3, 4, 5, ...;") == 2


@pytest.mark.parametrize("crowded", [(4,), (0, 9), (4, 8)])
def test_a_few_such_frames_are_named(
    small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture, crowded: tuple[int, ...]
) -> None:
    """Flashes of the beam, on frames that are looked at before or not."""
    frames = spots((10, 64, 64))
    frames[list(crowded)] = noise(len(crowded))
    small_scan(frames, CENTROIDS + "RingThresh 1 100").run()
    numbers = ", ".join(str(frame + 1) for frame in crowded)
    assert f"{len(crowded)} of 10 frames are crowded, their peaks are doubtful: {numbers}; " in warnings(caplog)


@pytest.mark.parametrize("text", ["RingThresh 1 20", "RingThresh 1 20\nMaxNPeaks 1", "RingThresh 1 20\nMinNrPx 6"])
def test_many_spots_are_no_crowd(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture, text: str) -> None:
    """However much of the rings they cover."""
    scan = small_scan(spots((10, 64, 64), count=120), CENTROIDS + text)
    result = scan.run()
    covered = np.mean([len(set(zip(pixels.y.tolist(), pixels.z.tolist(), strict=True))) for _, pixels in result.data])
    assert covered > 0.3 * 2 * np.pi * 20 * 10
    assert "crowded" not in warnings(caplog)


def test_the_limit_is_a_parameter(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture) -> None:
    small_scan(noise(), CENTROIDS + "RingThresh 1 100\nCrowdedShare 80").run()
    assert "crowded" not in warnings(caplog)


def test_regions_beyond_the_maxima_that_are_kept(
    small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture
) -> None:
    text = CENTROIDS + "RingThresh 1 20\nCrowdedShare 100\nMaxNPeaks {}"
    with pytest.raises(StageError, match="1 of its regions has more than MaxNPeaks 120 maxima"):
        small_scan(noise(), text.format(120)).run()
    small_scan(noise(), text.format(400)).run()
    assert "crowded" not in warnings(caplog)


def test_the_option(
    small_scan: Callable[..., Scan], in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    layer = small_scan(noise(), CENTROIDS + "RingThresh 1 100").layer
    HKLS.write(layer.hkls, hkls_of(RADII))
    assert in_process("ff-peaks", layer.archive, "--threads", 1, cwd=layer.folder) == 1
    assert "ff-peaks: frames 1, 2, 3 are crowded" in capsys.readouterr().err
    assert in_process("ff-peaks", layer.archive, "--threads", 1, "-force", 1, cwd=layer.folder) == 0
    assert layer.peaks(10).exists()


def test_the_option_of_the_driver(
    small_scan: Callable[..., Scan], in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "LatticeParameter 4.08 4.08 4.08 90 90 90\nSpaceGroup 225\nWavelength 0.2\n"
    layer = small_scan(noise(), f"{CENTROIDS}{cell}DoFullImage 1\nRingThresh 1 100").layer
    arguments = ["-dataFN", layer.archive, "-convertFiles", 0, "-peakSearchOnly", 1, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, cwd=layer.folder) == 1
    assert "Peak search failed: frames 1, 2, 3 are crowded" in capsys.readouterr().err
    assert in_process("ff-midas", *arguments, "-force", 1, cwd=layer.folder) == 0
