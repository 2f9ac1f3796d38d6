"""``ff-midas demo``: from nothing to a grain map that is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.pipeline import demo
from midas.runtime.errors import UsageError


@pytest.mark.slow
def test_demo_finds_every_grain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = demo.run([str(tmp_path / "demo")], 2, report=True)
    assert "15 grains" in (tmp_path / "demo" / "LayerNr_1" / "sim.analysis.MIDAS_report.html").read_text()
    found = result.data
    assert (found.true_count, found.recovered, found.spurious) == (15, 15, 0)
    assert found.misorientation.max() < 0.02
    assert np.median(found.distance) < 1.0 and found.distance.max() < 3.0
    assert "15 true, 15 of them found" in capsys.readouterr().out


def test_unknown_sample(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ds1"):
        demo.run([str(tmp_path), "ds9"], 1)
    assert not list(tmp_path.iterdir())
