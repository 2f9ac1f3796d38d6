"""``ff-match``, ``ff-stitch``, ``match_grains.py``, ``MatchGrains``: the same grains twice."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.matching.options import MatchOptions, StitchOptions
from midas.runtime.errors import UsageError
from midas.runtime.options import Option, from_words, options_of

if TYPE_CHECKING:
    from midas.formats.matched import Matches
    from midas.formats.table import Table
    from midas.runtime.result import StageResult


def run_match(values: argparse.Namespace) -> StageResult[Matches]:
    """Match two states."""
    from midas.results.matching import files as match_files

    return match_files.match(from_words(MatchOptions, vars(values)))


def run_stitch(values: argparse.Namespace) -> StageResult[Table]:
    """Stitch layers."""
    from midas.results.matching import files as match_files

    return match_files.stitch(from_words(StitchOptions, vars(values)))


def run_part(values: argparse.Namespace) -> None:
    """``match_grains.py`` without one of its two words."""
    raise UsageError("must be match or stitch", key="what", value=values.what)


def run_legacy(values: argparse.Namespace) -> StageResult[Matches]:
    """Match two states with the arguments and the table of the legacy program."""
    from midas.results.matching import files as match_files

    if values.matchMode not in (0, 1, 2):
        raise UsageError("must be 0, 1 or 2", key="matchMode", value=values.matchMode)
    if values.sizeFilter < 0:
        raise UsageError("must not be negative", key="sizeFilter", value=values.sizeFilter)
    weights, reference = _further(values)
    options = match_files.LegacyMatch(
        output=Path(values.OutFile),
        state1=Path(values.State1),
        state2=Path(values.State2),
        space_group=values.SGNr,
        offset=(values.offX, values.offY, values.offZ),
        mode=values.matchMode,
        beam_thickness=(values.beamThickness1, values.beamThickness2),
        remove_duplicates=values.removeDuplicates != 0,
        size_filter=values.sizeFilter,
        weights=weights,
        reference=reference,
        max_cost=values.max_cost,
    )
    return match_files.match_legacy(options)


def _further(values: argparse.Namespace) -> tuple[tuple[float, float], float]:
    """Weights and reference misorientation of the numbers that may follow, by how many there are."""
    given = [x for x in (values.angleWeight, values.distWeight, values.referenceMisorientation) if x is not None]
    if values.matchMode != 2:
        return (1.0, 1.0), given[0] if len(given) == 1 else 0.0
    if len(given) < 2:
        raise UsageError("matchMode 2 needs angleWeight and distWeight", key="matchMode", value=2)
    if min(given[:2]) <= 0:
        raise UsageError("must be greater than 0", key="angleWeight, distWeight", value=f"{given[0]} {given[1]}")
    return (given[0], given[1]), given[2] if len(given) == 3 else 0.0


_STATES = (
    "A state is a Grains.csv, a consolidated HDF5 file, a table of ff-stitch, or a layer folder; several of them are "
    "layers above each other."
)

PROGRAMS = (
    Program(
        names=("ff-match",),
        does=(
            "Find for the grains of one state of a sample those of another state, before and after loading, say, by "
            "misorientation, by distance, or by both. Of all ways to pair them that of the least total cost is taken."
        ),
        uses=(
            f"{_STATES} Writes a table of the pairs, with what separates them, and of the grains that are left over. "
            "Without a limit (--max-misorientation, --max-distance, --max-cost) hopeless pairs are made, too."
        ),
        examples=(
            ("ff-match --state1 a/LayerNr_1 --state2 b/LayerNr_1 --space-group 225", "one layer each"),
            (
                "ff-match --state1 a/LayerNr_* --state2 b/LayerNr_* --space-group 194 --beam-thickness 100 "
                "--weights 1 100 --max-misorientation 3",
                "several layers, 100 µm apart",
            ),
        ),
        options=options_of(MatchOptions),
        run=run_match,
        exact=True,
        closing="Done.",
    ),
    Program(
        names=("ff-stitch",),
        does=(
            "Join the grains of layers that were measured one above the other to one list, in which a grain that "
            "several layers saw stands once."
        ),
        uses=(
            f"{_STATES} Grains of two layers are one when their misorientation and distance are within tolerances; "
            "the position is then the mean of both. Writes a table of the grains, which ff-match reads."
        ),
        examples=(
            ("ff-stitch --layers LayerNr_1 LayerNr_2 LayerNr_3 --beam-thickness 100 --space-group 225", ""),
            ("ff-stitch --layers LayerNr_? --beam-thickness 100 --space-group 225 --position-tol 80", "large grains"),
        ),
        options=options_of(StitchOptions),
        run=run_stitch,
        exact=True,
        closing="Done.",
    ),
    Program(
        names=("match_grains.py",),
        does=(
            "Match the grains of two states of a sample, or stitch those of layers to one list: two programs under one "
            "name, of which the first word says which is meant."
        ),
        uses=(
            "match_grains.py match takes the options of ff-match, match_grains.py stitch those of ff-stitch; each says "
            "more with --help. Both read grain lists or layer folders and write one table."
        ),
        examples=(
            ("match_grains.py match --state1 a/Grains.csv --state2 b/Grains.csv --space-group 225", ""),
            ("match_grains.py stitch --layers LayerNr_1 LayerNr_2 --beam-thickness 100 --space-group 225", ""),
        ),
        arguments=(Argument("what", "match or stitch"),),
        has_short_name=False,
        parts={"match": "ff-match", "stitch": "ff-stitch"},
        run=run_part,
    ),
    Program(
        names=("MatchGrains",),
        does=(
            "Find for the grains of one state of a sample those of another state: the cheapest pair first, then the "
            "cheapest of what is left. The legacy program, with its arguments and its table; ff-match finds the best "
            "pairs as a whole and has more options."
        ),
        uses=(
            "A state is a Grains.csv or a list of them, one path per line, which are layers above each other. "
            "One number after sizeFilter is the reference misorientation (matchMode 0, 1); with matchMode 2 two are "
            "the weights, a third one the reference. Writes the pairs by their cost, then the grains left over."
        ),
        examples=(
            ("MatchGrains out.csv a/Grains.csv b/Grains.csv 225 0 0 0 1 0 0 1 0", "by distance"),
            ("MatchGrains out.csv a.txt b.txt 225 0 0 0 2 100 100 1 20 1 50", "1 degree counts as 50 µm"),
        ),
        arguments=(
            Argument("OutFile", "table of the pairs"),
            Argument("State1", "Grains.csv, or a list of such files"),
            Argument("State2", "the same of the second state"),
            Argument("SGNr", "number of the space group", int),
            *(Argument(f"off{axis}", "added to the positions of state 2, µm", float) for axis in "XYZ"),
            Argument("matchMode", "0: misorientation, 1: distance, 2: both", int),
            *(Argument(f"beamThickness{n}", f"distance between layers of state {n}, µm", float) for n in (1, 2)),
            Argument("removeDuplicates", "1: one partner per grain; 0: the best of state 1 for each of state 2", int),
            Argument("sizeFilter", "largest difference of radii, percent of that in state 2; 0 = any", float),
            Argument("angleWeight", "misorientation that counts as 1, degrees", float, False),
            Argument("distWeight", "distance that counts as 1, µm", float, False),
            Argument("referenceMisorientation", "misorientation that is expected, degrees", float, False),
        ),
        options=(Option("--max-cost", "no pair costs more; without it even hopeless pairs are made", float),),
        has_short_name=False,
        run=run_legacy,
    ),
)
