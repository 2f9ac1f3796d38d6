"""Every way in which an image can lie, and both senses of omega, against what the data can tell."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import Finished, TinyScan

from midas.archive import Archive
from midas.diagnosis.case import Case
from midas.diagnosis.causes import causes
from midas.diagnosis.evidence import Evidence
from midas.diagnosis.flips import WORDS, Setting, settings_of
from midas.diagnosis.frames import FrameSample, RingLight
from midas.diagnosis.trial import AS_GIVEN, Trial, View
from midas.experiment.image import PaddedImage
from midas.formats.layer import Layer
from midas.formats.table import Table

PX, BC, SIDE = 800.0, 128.0, 256


@pytest.fixture(scope="module")
def right(finished: Finished, scan: TinyScan) -> Evidence:
    """A layer in which all is well."""
    with Archive(scan.archive) as archive:
        return Evidence(Layer(finished[0], scan.archive), archive.parameters)


def _misread(right: Evidence, word: tuple[int, ...], sign: int) -> Evidence:
    """The same layer in the eyes of a user who gives another ImTransOpt, or lets omega run the other way."""
    evidence = Evidence(right.layer, right.parameters.changed(ImTransOpt=word))
    spots = Table(right.spots.names, right.spots.columns.copy())
    columns, rows = BC - spots["y_plane"] / PX, BC + spots["z_plane"] / PX
    columns, rows = PaddedImage(SIDE, SIDE, word).from_raw(columns, rows)
    spots["y_plane"][:], spots["z_plane"][:] = (BC - columns) * PX, (rows - BC) * PX
    spots["omega_recorded"][:] *= sign
    spots["eta"][:] = np.degrees(np.arctan2(-spots["y_plane"], spots["z_plane"]))
    evidence.__dict__["spots"] = spots
    return evidence


@pytest.mark.parametrize(("word", "sign"), list(itertools.product(WORDS, (1, -1))))
def test_the_class_of_the_right_setting_is_found(right: Evidence, word: tuple[int, ...], sign: int) -> None:
    case = Case(_misread(right, word, sign), 1)
    assert case.flips is not None and case.flips.best is not None and case.evidence.image is not None
    found = settings_of(case.flips.best, case.evidence.image, (BC, BC), case.beam_centre)
    assert len({(each.operations, each.reversed_omega) for each in found}) == 4
    truth = [each for each in found if each.operations == () and each.reversed_omega == (sign < 0)]
    assert len(truth) == 1 and truth[0].beam_centre is None
    assert case.flips.outcomes[case.flips.best].leading > 0.85
    others = [outcome.leading for view, outcome in case.flips.outcomes.items() if view != case.flips.best]
    assert max(others) < 0.3
    changed = word != () or sign < 0
    assert found[0] == truth[0] or found[0].changes() <= truth[0].changes()
    assert case.flips.is_other or not changed or {each.operations for each in found} >= {(), word}


def test_spots_of_chance_tell_nothing(right: Evidence) -> None:
    evidence = Evidence(right.layer, right.parameters)
    spots = Table(right.spots.names, right.spots.columns.copy())
    spots["omega_recorded"][:] = np.random.default_rng(3).permutation(spots["omega_recorded"])
    evidence.__dict__["spots"] = spots
    case = Case(evidence, 1)
    assert case.flips is not None and case.flips.best is None and not case.flips.is_other


def test_the_beam_centre_moves_in_the_padded_square() -> None:
    """160 x 256 pixels: reversed rows are 96 higher, and the padding is where the image is not."""
    image = PaddedImage(160, 256, (2,))
    as_is, *_ = found = settings_of(AS_GIVEN, image, (100.0, 200.0), (100.0, 200.0))
    assert as_is == Setting((2,), False, None, False) and as_is.text(0.25) == "all as it is"
    without = next(each for each in found if each.operations == ())
    assert without.beam_centre == (100.0, 55.0) and not without.reversed_omega
    assert without.text(0.25) == "ImTransOpt 0, BC 100.00 55.00"
    turned = next(each for each in found if each.operations == (1, 2))
    assert turned.text(0.25) == "ImTransOpt 1 and 2, OmegaStep -0.25, BC 155.00 200.00"


@pytest.mark.parametrize("truth", WORDS)
def test_a_flip_away_from_the_beam_centre(
    truth: tuple[int, ...], scan: TinyScan, finished: Finished, tmp_path: Path
) -> None:
    """BC is not in the middle, and there is no spot on the rings: the strongest maxima tell how the image lies."""
    centre, given = (90.0, 150.0), (1,) if truth != (1,) else (3,)
    shutil.copy(finished[0] / "hkls.csv", tmp_path)
    with Archive(scan.archive) as archive:
        parameters = archive.parameters.changed(BC=centre, ImTransOpt=given)
    evidence = Evidence(Layer(tmp_path, scan.archive), parameters)
    eta = np.radians(np.arange(0, 360, 5))
    radius = np.resize(list(evidence.ring_radii.values())[:40], len(eta)) / PX
    inside = radius < 80
    true = np.column_stack([centre[0] + radius * np.sin(eta), centre[1] + radius * np.cos(eta)])[inside]
    raw = [PaddedImage(SIDE, SIDE, truth).to_raw(*place) for place in true.tolist()]
    y, z = np.array([PaddedImage(SIDE, SIDE, given).from_raw(*place) for place in raw]).T
    case = Case(evidence, 1)
    case.__dict__["sample"] = FrameSample(1, (RingLight(2, 80.0, 0.0),), 0.0, 0.0, 0.0, y, z)
    word = " and ".join(map(str, truth)) or "0"
    assert case.flipped == {truth: 1.0}
    assert f"would with ImTransOpt {word} and BC as it is" in next(causes(case))


@pytest.mark.parametrize(("transposed", "mirrored"), list(itertools.product((False, True), repeat=2)))
def test_boxes_go_with_the_spots(transposed: bool, mirrored: bool) -> None:
    view = View(0.01, (30.0, -20.0), transposed, mirrored)
    y, z = np.random.default_rng(0).uniform((-500, 100), (200, 900), (50, 2)).T
    low_y, high_y, low_z, high_z = view.box((-500.0, 200.0, 100.0, 900.0))
    y, z = view.seen(y, z)
    assert low_y <= y.min() and y.max() <= high_y and low_z <= z.min() and z.max() <= high_z


def test_seeds_are_strong_and_the_same_for_any_number_of_threads(right: Evidence) -> None:
    one, two = (Trial(right, threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.outcome().completeness, two.outcome().completeness)
    assert set(right.spots.integers("ring")[one.seeds]) == {2}
    some = right.spots["spot_id"][one.seeds[:5]].tolist()
    np.testing.assert_array_equal(Trial(right, 1, some).seeds, one.seeds[:5])
    assert len(Trial(right, 1, [-1]).seeds) == 0 and Trial(right, 1, [-1]).outcome().leading == 0
