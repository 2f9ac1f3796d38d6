"""docs/parameters.md is what the table says."""

from __future__ import annotations

from pathlib import Path

from midas.parameters.reference import reference
from midas.parameters.table import KEYS


def test_reference_lists_every_key() -> None:
    text = reference()
    assert all(f"| `{name}`" in text for name in KEYS)
    written = Path(__file__).resolve().parents[2] / "docs" / "parameters.md"
    assert written.read_text(encoding="utf-8") == text, "run: make docs"


def test_rows() -> None:
    rows = {line.split("`")[1]: line for line in reference().splitlines() if line.startswith("| `")}
    assert rows["Width"] == (
        "| `Width` | float | µm | ≥ 0 | –; 1000.0 in look, peaks | look calibrate peaks radius fit_setup diagnosis "
        "results | half width of a ring band |"
    )
    assert "| float × 2 list | ° |  | – | fit_setup indexing refinement pull evidence pipeline |" in rows["OmegaRange"]
    assert (
        "| legacy, spots, mosaic | spots; legacy with `LegacyDigits 1` | fit_setup indexing grains pull sigma results "
        in rows["GrainMerging"]
    )
    assert "none: nothing reads it yet" in rows["RefineTransform"]
    assert "mean, none, each, or a number > 0" in rows["TrustLattice"]
