"""Parameter files and grain lists with every mistake that a user can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.runtime.errors import FormatError, MidasError, ParameterError

from .small_scan import GRAINS, PARAMETERS


def test_crlf_blank_lines_and_wrong_count(simulate, caplog) -> None:
    expected = simulate().spots.columns
    messy = GRAINS.replace("%NumGrains 2", "%NumGrains 1").replace("\n", "\r\n") + "\r\n\r\n"
    np.testing.assert_array_equal(simulate(grains=messy).spots.columns, expected)
    assert "%NumGrains is 1, but there are 2 grains" in caplog.text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OmegaStep 0", "OmegaStep"),
        ("OmegaStep -5", "OmegaStep"),
        ("GaussWidth 0", "GaussWidth"),
        ("NrPixels 0", "NrPixels"),
        ("NrPixelsY -3", "NrPixelsY"),
        ("nScans 9", "point focus"),
        ("Noise loud", "Noise"),
        ("Noise gauss", "Noise"),
        ("EResolution 0.1 0", "EResolution"),
        ("Background -1", "Background"),
        ("Lsd -1", "Lsd"),
        ("InFileName nowhere.csv", "nowhere.csv"),
        ("IntensitiesFile nowhere.txt", "nowhere.txt"),
        ("IntensitiesFile GrainsSim.csv", "positive intensity"),
        ("IsBinary 1", "GrainsSim.csv"),
        ("NPanelsY 2\nNPanelsZ 1\nPanelSizeY 100\nPanelSizeZ 256", "PanelGapsY"),
        ("NPanelsY 1\nNPanelsZ 1\nPanelSizeY 100", "PanelSizeZ"),
        ("Wedge 1\nLegacyDistortionMap 1", "LegacyDistortionMap.*give WedgeModel legacy"),
        ("WriteAnalysisZip 1\nRingThresh 3", "RingThresh"),  # the analysis needs a threshold, the simulation none
    ],
)
def test_bad_input_names_its_cause_and_leaves_no_output(simulate, tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(MidasError, match=words):
        simulate(line)
    assert not list(tmp_path.glob("*.zip*")) and not (tmp_path / "SpotMatrixGen.csv").exists()


@pytest.mark.parametrize(
    "key", "InFileName OutFileName Lsd RhoD px BC Wavelength OmegaStart OmegaEnd OmegaStep".split()
)
def test_missing_key_is_named(simulate, key: str) -> None:
    lines = [line for line in PARAMETERS.splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(ParameterError, match=key):
        simulate(base="\n".join(lines) + "\n")


def test_short_grain_line_is_named(simulate) -> None:
    with pytest.raises(FormatError, match="line 12"):
        simulate(grains=GRAINS + "3 1 0 0\n")
