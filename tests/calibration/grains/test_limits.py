"""What a refinement does at its limits: a number that runs away, mosaic spots, a geometry that predicts worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grain_spots import INSTRUMENT, Noise, crystals_of, grain_spots

from midas.calibration.grains import geometry
from midas.calibration.grains.auto import Choice
from midas.calibration.grains.case import Case
from midas.calibration.grains.geometry import Settings, refined
from midas.calibration.grains.result import HeldOut
from midas.runtime.errors import StageError

from .model import detector_of, measurement

#: no tilts, no distortion, no wedge
PLAIN = replace(INSTRUMENT, tilts=(0.0, 0.0, 0.0), distortion=(0.0, 0.0, 0.0, 0.0), wedge=0.0)
SHARP = Noise(radial=1, tangential=1, omega=0.002)


def test_one_number_that_runs_away_is_set_back() -> None:
    spots = grain_spots(crystals_of(8, seed=21), PLAIN, SHARP)
    start = replace(detector_of(spots), wedge=2.5)
    result = refined(measurement(spots, start), Settings(refine="Lsd,BC,Wedge", trust="none", force=True))
    number = result.number("Wedge")
    assert (number.verdict, number.value, number.fitted) == ("railed", 2.5, False)
    assert list(result.keys()) == ["Lsd", "BC"]


def test_mosaic_spots_are_said() -> None:
    spots = grain_spots(crystals_of(12, seed=22), PLAIN, Noise(radial=5, tangential=100, omega=0.02))
    result = refined(measurement(spots, detector_of(spots)), Settings(refine="Lsd,BC", trust="none"))
    said = [sentence for sentence in result.sentences if "mosaic spread; positions rest on the radial part" in sentence]
    assert len(said) == 1
    tangential, radial = (float(said[0].split(" um")[k].split()[-1]) for k in (0, 1))
    assert tangential == pytest.approx(100, rel=0.15)
    assert radial == pytest.approx(5, rel=0.25)


def test_a_geometry_that_predicts_worse_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions before and after are exchanged: the fit itself does not make such a geometry."""
    spots = grain_spots(crystals_of(8, seed=23), PLAIN, SHARP)
    found = measurement(spots, replace(detector_of(spots), y_bc=detector_of(spots).y_bc + 1))
    settings = Settings(refine="Lsd,BC", trust="none")
    honest = geometry.held_out_of

    def exchanged(case: Case, choice: Choice, detectors: int) -> HeldOut:
        return honest(case, replace(choice, before=choice.prediction, prediction=choice.before), detectors)

    assert np.diff(refined(found, settings).held_out.loss)[0] < 0
    monkeypatch.setattr(geometry, "held_out_of", exchanged)
    with pytest.raises(StageError, match="the refined geometry predicts unseen spots worse"):
        refined(found, settings)
    assert refined(found, replace(settings, force=True)).converged
