"""The sixteen readings of a scan, and what its grains say of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import Finished, TinyScan

from midas.archive import Archive
from midas.diagnosis.certificate import ALIKE, BETTER, EXCLUDED, GIVEN, OPEN, certificate, certificate_of
from midas.diagnosis.evidence import Evidence
from midas.diagnosis.trial import Trial, View
from midas.formats.layer import Layer
from midas.runtime.errors import StageError

from .test_flips import _misread


@pytest.fixture(scope="module")
def right(finished: Finished, scan: TinyScan) -> Evidence:
    with Archive(scan.archive) as archive:
        return Evidence(Layer(finished[0], scan.archive), archive.parameters)


def test_of_a_layer_in_which_all_is_well(right: Evidence) -> None:
    found = certificate(right.layer, right.parameters, 1)
    assert Counter(reading.verdict for reading in found.readings) == {GIVEN: 1, ALIKE: 3, EXCLUDED: 12}
    assert len({(r.setting.operations, r.setting.reversed_omega) for r in found.readings}) == 16
    assert found.readings[0].setting.changes() == (0, 0)
    assert found.excluded == 12
    assert found.sentence() == (
        "image and sense of omega: the data exclude 12 of the 15 other readings; 3 no data can tell from the given "
        "one, only the instrument can"
    )
    rows = found.rows()
    assert rows[0] == ("ImTransOpt 0, OmegaStep 1", "1.00", GIVEN)
    assert ("ImTransOpt 2, OmegaStep 1, BC 128.00 127.00", "1.00", ALIKE) in rows
    assert ("ImTransOpt 1, OmegaStep -1, BC 127.00 128.00", "1.00", ALIKE) in rows
    assert len(found.text().splitlines()) == 18


@pytest.mark.parametrize(("word", "sign"), [((3,), 1), ((), -1)])
def test_of_a_wrong_reading(right: Evidence, word: tuple[int, ...], sign: int) -> None:
    """The four readings of the right class come out, and the sentence names one of them."""
    found = certificate_of(_misread(right, word, sign), 1, ())
    better = [reading for reading in found.readings if reading.verdict == BETTER]
    assert len(better) == 4
    assert {True} == {reading.verdict in (BETTER, GIVEN, ALIKE, OPEN) for reading in found.readings}
    assert found.sentence().startswith("ImTransOpt or the sign of OmegaStep is wrong: ")


def test_spots_that_a_view_makes_impossible(right: Evidence) -> None:
    """Where the axis leans, a spot at the side of the transposed image is too near to the pole."""
    leaning = Evidence(right.layer, right.parameters.changed(Wedge=1.0))
    leaning.__dict__["spots"] = right.spots
    trial = Trial(leaning, 1)
    table = trial._spots(View(transposed=True), trial._rings)
    lost = table["ring"] == 0
    assert 0 < lost.sum() < len(table) / 2
    assert np.isfinite(table.columns).all()
    assert trial.outcome(View(transposed=True)).best < 0.5


def test_without_spots(tmp_path: Path, right: Evidence) -> None:
    with pytest.raises(StageError, match="has no spots that could tell how the image lies"):
        certificate(Layer(tmp_path, right.layer.archive), right.parameters, 1)
