"""Keys that a source names are declared by the part that reads it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import midas
from midas.parameters.readers import READERS
from midas.parameters.table import KEYS

PACKAGE = Path(midas.__file__).parent


#: modules that read for one part only; functions that several parts call count for each of them
MODULES = {
    "convert": "convert/conversion.py convert/sweep.py",
    "check": "diagnosis/check/scan.py",
    "look": "diagnosis/look/run.py",
    "calibrate": "pipeline/powder_images.py pipeline/calibrating.py pipeline/calibration_files.py experiment/panels.py",
    "hkls": "stages/hkls.py experiment/crystal.py",
    "peaks": "stages/peaks.py experiment/panels.py",
    "merge": "stages/merge.py experiment/scan.py",
    "radius": "stages/radius.py experiment/rings.py experiment/scan.py",
    "fit_setup": "stages/fit_setup.py experiment/scan.py experiment/read_out.py",
    "binning": "stages/binning.py",
    "indexing": "stages/indexing.py experiment/region.py",
    "refinement": "stages/refinement.py experiment/region.py",
    "grains": "stages/grains/__init__.py stages/grains/tables.py stages/grains/strain.py",
    "pull": "stages/grains/pull/__init__.py stages/grains/pull/instrument.py experiment/read_out.py",
    "geometry": "calibration/grains/layers.py calibration/grains/geometry.py pipeline/geometry/outputs.py",
    "diagnosis": "diagnosis/trial.py diagnosis/frames.py",
    "results": "results/tables/joins.py results/tables/sources.py experiment/rings.py experiment/scan.py",
    "export": "results/exchange/instrument.py experiment/detector.py",
    "evidence": "experiment/layer_view.py experiment/corrected_frames.py results/evidence/predicted.py",
    "sigma": "calibration/grains/layer.py experiment/scan.py",
    "simulation": "simulation/scan.py simulation/frames.py experiment/crystal.py experiment/panels.py",
    "pipeline": "pipeline/layer_run.py pipeline/inputs.py pipeline/spot_table.py pipeline/plan.py",
    "commands": "commands/arguments.py",
}


@pytest.mark.parametrize("part", READERS)
def test_keys_that_a_source_names_are_declared(part: str) -> None:
    """Also those of branches that no run of the tests enters."""
    names: set[str] = set()
    for module in MODULES[part].split():
        tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
        names |= {node.slice.value for node in ast.walk(tree) if _is_named(node)}
    assert names & KEYS.keys() <= READERS[part].keys


def _is_named(node: ast.AST) -> bool:
    """``something["Name"]``, something being parameters."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("p", "parameters", "settings", "limits", "fitted", "folders")
    )
