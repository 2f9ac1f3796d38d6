"""The example of docs/calibrating.md#from-python, on a small image of ceria."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from powder_images.recipe import powder_image
from powder_images.sets import flat

import midas.calibration

PAGE = Path(__file__).parents[3] / "docs" / "calibrating.md"


def test_the_example_of_the_guide() -> None:
    powder = flat(small=True)
    code = re.search(r"## From Python.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert code is not None
    names: dict[str, object] = {"counts": powder_image(powder).counts}
    as_drawn = code[1].replace("0.172979", "0.172973").replace('"CeO2"', '"225 5.4116"')
    exec(as_drawn, names)
    found = names["found"]
    assert isinstance(found, midas.calibration.Calibration)
    assert found.detector.lsd == pytest.approx(powder.detector.lsd, abs=4)
    assert not found.warnings


def test_every_public_name_is_there() -> None:
    for name in midas.calibration.__all__:
        assert getattr(midas.calibration, name).__name__ == name
    assert set(midas.calibration.__all__) <= set(dir(midas.calibration))
    with pytest.raises(AttributeError, match="no attribute"):
        _ = midas.calibration.nothing
