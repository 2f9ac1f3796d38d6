"""Which module of `midas.commands` has which program, by every name that it is called by.

A table of its own, so that a command imports no more than itself; a test holds it against the modules.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas.commands.program import Program

MODULES = {
    "ff-midas": "driver",
    "ff_MIDAS.py": "driver",
    "ff-convert": "convert",
    "ffGenerateZipRefactor.py": "convert",
    "ff-hkls": "hkls",
    "GetHKLListZarr": "hkls",
    "GetHKLList": "hkls",
    "ff-peaks": "peaks",
    "PeaksFittingOMPZarrRefactor": "peaks",
    "ff-merge": "merge",
    "MergeOverlappingPeaksAllZarr": "merge",
    "ff-radius": "radius",
    "CalcRadiusAllZarr": "radius",
    "ff-setup": "fit_setup",
    "FitSetupZarr": "fit_setup",
    "ff-bin": "binning",
    "SaveBinData": "binning",
    "ff-index": "indexing",
    "IndexerOMP": "indexing",
    "ff-refine": "refinement",
    "FitPosOrStrainsOMP": "refinement",
    "ff-grains": "grains",
    "ProcessGrainsZarr": "grains",
    "ProcessGrains": "grains",
    "ff-pull": "pull",
    "ff-resolve": "resolve",
    "ff-simulate": "simulate",
    "ForwardSimulationCompressed": "simulate",
    "ff-compare": "compare",
    "ff-export": "export",
    "ff-geometry": "geometry",
    "ff-look": "look",
    "ff-check": "check",
    "ff-calibrate": "calibrate",
    "CalibrantPanelShiftsOMP": "calibrant_panel_shifts",
    "AutoCalibrateZarr.py": "auto_calibrate",
    "AutoCalibrateZarr": "auto_calibrate",
    "ff-match": "match",
    "ff-stitch": "match",
    "match_grains.py": "match",
    "MatchGrains": "match",
    "ff-track": "track",
    "ff-stress": "stress",
    "ff-update": "update",
    "updateZarrDset.py": "update",
    "ff-mask": "mask",
    "generate_mask.py": "mask",
    "ff-dark": "dark",
    "GenMedianDark": "dark",
}


def program(name: str) -> Program:
    """The program that is called by this name."""
    programs: tuple[Program, ...] = import_module(f"midas.commands.{MODULES[name]}").PROGRAMS
    return next(one for one in programs if name in one.names)
