"""docs/options.md: printed from the programs, a row for every option, and every test that it names exists."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from midas.parameters.table import KEYS

ROOT = Path(__file__).resolve().parents[1]

#: of the user manual of the legacy suite, version 9.0
KEYS_OF_THE_MANUAL = """
    FileStem Ext StartFileNrFirstLayer NrFilesPerSweep RawFolder Dark Lsd Wavelength px BC ty tz p0 LatticeParameter
    SpaceGroup StartNr EndNr OmegaFirstFile OmegaStep RingThresh ImTransOpt OverAllRingToIndex MinNrSpots
    MinOmeSpotIDsToIndex MaxOmeSpotIDsToIndex Twins BeamThickness GlobalPosition NumPhases PhaseNr PanelShiftsFile
    RingsToExcludeFraction GrainsFile ResultFolder UsePixelOverlap doPeakFit MaskFN BadPxIntensity GapIntensity
""".split()
OPTIONS_OF_THE_MANUAL = """
    -paramFN -dataFN -resultFolder -nCPUs -machineName -nNodes -startLayerNr -endLayerNr -fileName -convertFiles
    -doPeakSearch -peakSearchOnly -numFrameChunks -preProcThresh -provideInputAll -rawDir -grainsFile -reprocess
""".split()


@pytest.fixture(scope="module")
def options() -> ModuleType:
    """The script that prints the page."""
    spec = importlib.util.spec_from_file_location("options_page", ROOT / "docs" / "options.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_programs_say(options: ModuleType) -> None:
    """Run `python docs/options.py > docs/options.md` when it is not; an option without a row is an error there."""
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == options.page()


def test_nothing_of_the_manual_is_missing(options: ModuleType) -> None:
    assert sorted(options.MANUAL_KEYS) == sorted(KEYS_OF_THE_MANUAL)
    assert options.MANUAL_KEYS.keys() <= KEYS.keys()
    page = options.page()
    assert [flag for flag in OPTIONS_OF_THE_MANUAL if f"| `{flag}` |" not in page] == []


def test_every_row_belongs_to_an_option(options: ModuleType) -> None:
    known = {(called.names[0], option.flag) for called in options.programs() for option in called.options}
    assert options.TESTS.keys() <= known
    assert options.EVERYWHERE.keys() <= {flag for _, flag in known}
    assert options.PROGRAMS.keys() <= {name for name, _ in known}


def test_every_test_exists(options: ModuleType) -> None:
    rows = {**options.TESTS, **options.EVERYWHERE, **options.PROGRAMS, **options.MANUAL_KEYS}
    missing = set()
    for test, _ in rows.values():
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if not name.startswith("test_") or name not in functions:
            missing.add(test)
    assert missing == set()
