"""What the user asks of matching and stitching: the options of ``ff-match`` and ``ff-stitch``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from midas.runtime.options import NUMBER, NUMBERS, PATH, PATHS, SWITCH, TEXT, WHOLE, option

MODES = ("orientation", "position", "combined")


def _lattice() -> tuple[float, ...] | None:
    text = "cell a b c alpha beta gamma, which tells the axes of the space group; by default from the first grain list"
    found: tuple[float, ...] | None = option("--lattice", NUMBERS, None, text, count=6)
    return found


@dataclass(frozen=True)
class MatchOptions:
    """Two states of a sample, how grains are compared, and what is done to the second one before."""

    state1: tuple[Path, ...] = option(
        "--state1", PATHS, (), "grain lists or layer folders of the first state, one per layer", count="+"
    )
    state2: tuple[Path, ...] = option("--state2", PATHS, (), "those of the second state", count="+")
    space_group: int | None = option("--space-group", WHOLE, None, "number of the space group, 1 to 230")
    lattice: tuple[float, ...] | None = _lattice()
    beam_thickness: float = option("--beam-thickness", NUMBER, 0.0, "distance between layers along z, µm")
    mode: str = option("--mode", TEXT, "combined", "what counts: misorientation, distance, or both", choices=MODES)
    weights: tuple[float, float] = option(
        "--weights", NUMBERS, (1.0, 1.0), "misorientation (degrees) and distance (µm) that count the same", count=2
    )
    offset: tuple[float, float, float] = option(
        "--offset", NUMBERS, (0.0, 0.0, 0.0), "added to the positions of state 2, µm", count=3
    )
    offset_table: Path | None = option(
        "--offset-table",
        PATH,
        None,
        "CSV file 'layer,grainID,dx,dy,dz' (one header line): offsets of grains of state 2",
    )
    affine: tuple[float, ...] | None = option(
        "--affine", NUMBERS, None, "3 x 4 matrix, row by row: the positions of state 2 become A x + t", count=12
    )
    affine_from_points: tuple[str, ...] = option(
        "--affine-from-points",
        PATHS,
        (),
        "two CSV files (one header line; x,y,z) with the same points in state 1 and in state 2: the map between them "
        "is fitted, and state 2 is brought back to state 1; --affine wins",
        count=2,
    )
    remove_duplicates: bool = option("--remove-duplicates", SWITCH, True, "one partner per grain; always so")
    keep_duplicates: bool = option(
        "--no-remove-duplicates", SWITCH, False, "every grain of state 2 gets its best partner, whoever else has it"
    )
    size_filter: float = option(
        "--size-filter", NUMBER, 0.0, "largest difference of grain radii, percent of that in state 1; 0 = any"
    )
    ref_misorientation: float = option(
        "--ref-misorientation", NUMBER, 0.0, "misorientation that is expected, degrees (a twin's 60, say)"
    )
    max_cost: float | None = option("--max-cost", NUMBER, None, "no pair costs more")
    max_misorientation: float | None = option(
        "--max-misorientation", NUMBER, None, "no pair is farther from --ref-misorientation, degrees"
    )
    max_distance: float | None = option("--max-distance", NUMBER, None, "no pair is farther apart, µm")
    output: Path = option("--output", PATH, "MatchedGrains.csv", "table of the pairs")


@dataclass(frozen=True)
class StitchOptions:
    """Layers of one sample, and when grains of two of them are one."""

    layers: tuple[Path, ...] = option(
        "--layers", PATHS, (), "grain lists or layer folders, from the lowest layer up", count="+"
    )
    beam_thickness: float | None = option("--beam-thickness", NUMBER, None, "distance between layers along z, µm")
    space_group: int | None = option("--space-group", WHOLE, None, "number of the space group, 1 to 230")
    lattice: tuple[float, ...] | None = _lattice()
    misorientation_tol: float = option(
        "--misorientation-tol", NUMBER, 0.5, "grains of two layers are one below this misorientation, degrees,"
    )
    position_tol: float = option("--position-tol", NUMBER, 50.0, "and up to this distance, µm")
    output: Path = option("--output", PATH, "StitchedGrains.csv", "table of the grains")
