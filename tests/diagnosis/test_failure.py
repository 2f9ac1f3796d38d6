"""Runs that find nothing, or little, name the mistake that was made; a run that is right says nothing.

No seeds and small margins are in tests/pipeline/test_failures.py.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_scan import LOG_LINE, Call, Finished, TinyScan

from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.runtime.errors import StageError

RINGS = range(1, 6)


@dataclass(frozen=True)
class Mistake:
    """What is changed in a parameter file that is right, and what must be said.

    Parameters
    ----------
    edit : lines in place of those of the same key
    sentence : in the one line of the error, or of the warning
    grains : whether the run ends well, with a warning
    """

    edit: str
    sentence: str
    grains: bool = False


def _rings(threshold: int, *rings: int) -> str:
    return "\n".join(f"RingThresh {ring} {threshold}" for ring in rings or RINGS)


TURNED = "ImTransOpt or the sign of OmegaStep is wrong: with "

MISTAKES = {
    "Lsd 1 % too large": Mistake("Lsd 505000", "nothing was indexed: all rings lie -96"),
    "BC five pixels beside": Mistake("BC 133 128", "BC is about 127.97 128.00 instead of 133.00 128.00"),
    "columns reversed": Mistake(
        "ImTransOpt 1", f"{TURNED}ImTransOpt 0 the strongest seeds reach a completeness of 1.00"
    ),
    "rows reversed": Mistake("ImTransOpt 2", "BC would be right with ImTransOpt 0; completeness 1.00 instead of 0.00"),
    "transposed": Mistake("ImTransOpt 3", f"{TURNED}ImTransOpt 0 the strongest seeds"),
    "omega backwards": Mistake("OmegaStart 90\nOmegaStep -1", f"{TURNED}OmegaStep 1 the strongest seeds"),
    "threshold above everything": Mistake(
        _rings(15900), "no spots on the rings: no pixel reaches its threshold: the brig"
    ),
    "dark ring": Mistake(
        f"{_rings(80, 6)}\nOverAllRingToIndex 6\nRhoD 112000",
        "ring 6 of RingThresh is dark, but 100 % of the strongest",
    ),
    "everything saturated": Mistake("UpperBoundThreshold 81\nLegacyDigits 1", "above UpperBoundThreshold 81 too"),
    "regions too small": Mistake("MinNrPx 500", "no region is left: check MinNrPx 500"),
    "another lattice": Mistake("SpaceGroup 229", "too few spots on rings 1 (0 of about 12), 3 (0 of about 23)"),
    "another cell": Mistake(
        "LatticeConstant 3.7 3.7 3.7 90 90 90", "the cell is about 3.5220 3.5220 3.5220, or Wavelength 0.181723"
    ),
    "Completeness too large": Mistake(
        f"{_rings(9000)}\nCompleteness 0.995", "Completeness 0.995 is too much: the best of"
    ),
    "its legacy name": Mistake(
        f"{_rings(9000)}\n-Completeness\nMinMatchesToAcceptFrac 0.995", "MinMatchesToAcceptFrac 0.995 is too much"
    ),
    "nothing in the range": Mistake("MinEta 89.9", "spots of the rings lie outside OmegaRange, BoxSize or MinEta"),
    "MinNrSpots too large": Mistake(
        "MinNrSpots 80", "0 grains explain 0 % of the 58 strong spots: MinNrSpots 80 is", True
    ),
    "MinSignificance too large": Mistake("MinSignificance 1000", "spots: MinSignificance 1000 is too much: ", True),
    "MinUniqueSpots too large": Mistake("MinUniqueSpots 1000", "spots: MinUniqueSpots 1000 is too much: ", True),
    "no Friedel mates": Mistake(
        "OmegaRange 10 60\nIndexPasses 1", "strong spots: UseFriedelPairs 1 finds hardly any Friedel", True
    ),
    "seeds of one grain": Mistake(
        "MaxOmeSpotIDsToIndex -85\nIndexPasses 1", "could be indexed, but are no seeds: only 2 of the 24", True
    ),
}


def edited(text: str, edit: str) -> str:
    """A parameter file with other lines; "-Key" takes those of a key away."""
    keys = {line.split()[0].removeprefix("-") for line in edit.splitlines()}
    kept = [line for line in text.splitlines() if line.split()[0] not in keys]
    return "\n".join([*kept, *(line for line in edit.splitlines() if not line.startswith("-")), ""])


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(
    name: str, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = MISTAKES[name]
    parameters = tmp_path / "ps.txt"
    parameters.write_text(edited(scan.parameters.read_text(), mistake.edit))
    arguments = ["-paramFN", parameters, "-dataFN", scan.raw, "-nCPUs", 1, "-perSpotGroups", 0]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == (0 if mistake.grains else 1)
    out, err = capsys.readouterr()
    written = tmp_path / "LayerNr_1" / "midas_log" / "diagnosis.txt"
    if mistake.grains:
        (warning,) = (line for line in err.splitlines() if "WARNING" in line and "strong spots" in line)
        assert mistake.sentence in warning and f"(numbers: {written})" in warning
        assert mistake.sentence in out
    else:
        (error,) = (line for line in err.splitlines() if not LOG_LINE.match(line))
        assert error.startswith("ff-midas: layer 1: ") and mistake.sentence in error and error.endswith(f"{written})")
    text = written.read_text()
    assert text.startswith("- ") and "180 frames, " in text and "BC 1" in text


def test_what_is_right_is_left_alone(finished: Finished) -> None:
    folder, result = finished
    assert not (folder / "midas_log" / "diagnosis.txt").exists()
    assert "strong spots" not in result.stderr + result.stdout


def test_an_earlier_diagnosis_goes(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "LayerNr_1", symlinks=True)
    stale = tmp_path / "LayerNr_1" / "midas_log" / "diagnosis.txt"
    stale.write_text("- all is lost\n")
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, "-nCPUs", 1, cwd=tmp_path) == 0
    assert not stale.exists()


def test_seeds_that_somebody_took_away(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tmp_path / "layer"
    shutil.copytree(finished[0], layer, symlinks=True)
    (layer / "SpotsToIndex.csv").write_text("")
    assert in_process("ff-resolve", ".", cwd=layer) == 1
    assert "no seeds: SpotsToIndex.csv holds no seeds, though 24 accepted spots of ring" in capsys.readouterr().err
    shutil.copy(finished[0] / "SpotsToIndex.csv", layer)
    (layer / "Results" / "Key.bin").unlink()
    assert in_process("ff-resolve", ".", cwd=layer) == 1
    assert "Key.bin: is missing: there are no refined seeds; run ff-refine first" in capsys.readouterr().err


@pytest.fixture(scope="module")
def failed(scan: TinyScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer of a run whose image is transposed."""
    folder = tmp_path_factory.mktemp("failed")
    parameters = folder / "ps.txt"
    parameters.write_text(edited(scan.parameters.read_text(), "ImTransOpt 3"))
    with pytest.raises(StageError, match="nothing was indexed"):
        layers.run(Options(parameter_file=parameters, data_file=scan.raw, result_folder=folder, threads=1))
    return folder / "LayerNr_1"


def test_programs_of_the_stages_say_it_too(
    failed: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tmp_path / "layer"
    shutil.copytree(failed, layer, symlinks=True)
    assert in_process("ff-index", "paramstest.txt", "--threads", 1, cwd=layer) == 0
    out, err = capsys.readouterr()
    assert "nothing was indexed: ImTransOpt or the sign of OmegaStep is wrong: with the image transposed" in out + err
    assert in_process("ff-grains", "scan_000001.MIDAS.zip", cwd=layer) == 1
    assert f"ff-grains: nothing was indexed: {TURNED}ImTransOpt 0 the strongest" in capsys.readouterr().err
    spots = len((layer / "Result_StartNr_1_EndNr_180.csv").read_text().splitlines()) - 1
    radius = layer / "Radius_StartNr_1_EndNr_180.csv"
    radius.write_text(radius.read_text().splitlines()[0] + "\n")
    assert in_process("ff-setup", "scan_000001.MIDAS.zip", ".", cwd=layer) == 1
    (error,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("ff-setup: "))
    assert f"{radius.name}: no spots on the rings: none of the {spots} merged spots lies within Width 1500" in error
