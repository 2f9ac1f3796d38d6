"""The region that the parameters of an experiment give: ranges and boxes paired, poles, mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midas._ext.physics.region import VERDICTS, AcceptedRegion
from midas.experiment.region import ANY_BOX, ANY_OMEGA, accepted_region, paired_limits
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, ParameterError

RANGES = ("OmegaRange -60 -10\n", "OmegaRange 10 60\n", "OmegaRange 70 80\n")
BOXES = ("BoxSize -9 9 -8 8\n", "BoxSize 0 7 -8 8\n", "BoxSize 0 1 0 1\n")
NAMES = {code: name for name, code in VERDICTS.items()}


def verdict(region: AcceptedRegion, *spot: float) -> str:
    """Of a spot given by omega, eta, y and z."""
    return NAMES[int(region.verdicts(*(np.array([value], np.float64) for value in spot))[0])]


@pytest.mark.parametrize(
    ("text", "ranges", "boxes"),
    [
        ("", (ANY_OMEGA,), (ANY_BOX,)),
        (RANGES[0] + RANGES[1], ((-60, -10), (10, 60)), (ANY_BOX, ANY_BOX)),
        (BOXES[0] + BOXES[1], (ANY_OMEGA, ANY_OMEGA), ((-9, 9, -8, 8), (0, 7, -8, 8))),
        (RANGES[0] + BOXES[0], ((-60, -10),), ((-9, 9, -8, 8),)),
        (RANGES[0] + RANGES[1] + BOXES[0], ((-60, -10), (10, 60)), ((-9, 9, -8, 8),) * 2),
        (RANGES[0] + BOXES[0] + BOXES[1], ((-60, -10),) * 2, ((-9, 9, -8, 8), (0, 7, -8, 8))),
        (RANGES[0] + RANGES[1] + BOXES[0] + BOXES[1], ((-60, -10), (10, 60)), ((-9, 9, -8, 8), (0, 7, -8, 8))),
    ],
)
def test_one_row_goes_with_all_of_the_other(text: str, ranges: Any, boxes: Any) -> None:
    paired = paired_limits(Parameters.parse(text, "ps.txt"))
    assert (paired["OmegaRange"], paired["BoxSize"]) == (ranges, boxes)


@pytest.mark.parametrize(("n_ranges", "n_boxes"), [(2, 3), (3, 2)])
def test_other_unequal_numbers_name_both_keys(n_ranges: int, n_boxes: int) -> None:
    parameters = Parameters.parse("".join(RANGES[:n_ranges] + BOXES[:n_boxes]), "ps.txt")
    with pytest.raises(
        ParameterError,
        match=rf"ps\.txt, line {n_ranges + n_boxes}: BoxSize: .*{n_boxes} lines, but OmegaRange has {n_ranges}",
    ):
        paired_limits(parameters)


def test_only_observed_omegas_may_lie_on_the_upper_end() -> None:
    parameters = Parameters.parse("OmegaRange -60 60\nMinEta 6\n", "ps.txt")
    expected, observed = (accepted_region(parameters, observed=flag) for flag in (False, True))
    assert verdict(expected, 60, 90, 0, 0) == "outside omega"
    assert verdict(observed, 60, 90, 0, 0) == "accepted"
    for region in (expected, observed):
        assert verdict(region, -60, 6, 0, 0) == "accepted"
        assert verdict(region, 0, 5.9, 0, 0) == "outside eta"


def test_the_mask_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "BigDetectorMask.bin"
    live = np.zeros((8, 8), bool)
    live[5, 2] = True  # z = 100 ... 200, y = -200 ... -100
    np.packbits(live.ravel(), bitorder="little").tofile(path)
    parameters = Parameters.parse("BigDetSize 8\npx 100\n", "ps.txt")
    assert verdict(accepted_region(parameters, path), 0, 45, -150, 150) == "accepted"
    assert verdict(accepted_region(parameters, path), 0, -45, 150, 150) == "on dead pixel"
    assert verdict(accepted_region(parameters), 0, -45, 150, 150) == "accepted"
    without = Parameters.parse("px 100\n", "ps.txt")
    assert verdict(accepted_region(without, tmp_path / "none"), 0, -45, 150, 150) == "accepted"


def test_pixels_of_the_detector_and_a_mask_count_together(tmp_path: Path) -> None:
    """Rasters of 16 and of 8 pixels around one beam; what is live in both is seen."""
    pixels, mask = np.ones((16, 16), bool), np.ones((8, 8), bool)
    pixels[8:, 9] = False  # z > 0, y = 100 ... 200
    mask[4:, 2] = False  # z > 0, y = -200 ... -100
    files = tmp_path / "BigDetectorMask.bin", tmp_path / "DetectorPixels.bin"
    for path, live in zip(files, (mask, pixels), strict=True):
        np.packbits(live.ravel(), bitorder="little").tofile(path)

    def seen(text: str) -> list[bool]:
        region = accepted_region(Parameters.parse(f"px 100\n{text}", "ps.txt"), *files)
        places = ((150, 150), (-150, 150), (50, 150), (500, 50), (150, -50))
        return [verdict(region, 0, 45, y, z) == "accepted" for y, z in places]

    assert seen("") == [False, True, True, True, True]
    assert seen("BigDetSize 8\n") == [False, False, True, False, True]
    assert seen("BigDetSize 8\nDetectorRegion 0\n") == [True, False, True, False, True]
    assert seen("LegacyDigits 1\n") == [True] * 5
    files[1].write_bytes(bytes(12))
    with pytest.raises(FormatError, match=r"DetectorPixels\.bin: has 12 bytes, which are no square"):
        seen("")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("BigDetSize 9\npx 100\n", FormatError, "too few for the pixels of BigDetSize 9"),
        ("BigDetSize -1\npx 100\n", ParameterError, "BigDetSize: -1"),
        ("BigDetSize 8\n", ParameterError, "px"),
        ("BigDetSize 8\npx 0\n", ParameterError, "px"),
    ],
)
def test_masks_that_do_not_fit(tmp_path: Path, text: str, kind: type[Exception], message: str) -> None:
    path = tmp_path / "BigDetectorMask.bin"
    path.write_bytes(bytes(8))
    with pytest.raises(kind, match=message):
        accepted_region(Parameters.parse(text, "ps.txt").for_stage("indexing"), path)
