"""``ff-compare``: found grains against the true ones, or against other found ones."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.matching.tolerance import Tolerances
from midas.runtime.options import Option, from_words, options_of

if TYPE_CHECKING:
    from midas.results.matching.compare import Comparison
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Comparison]:
    """Compare two grain lists, print both tables, and judge them where a tolerance is given."""
    from midas.results.exchange import file_of
    from midas.results.matching.compare import compare
    from midas.runtime.errors import IncompleteError
    from midas.runtime.files import keep_inputs
    from midas.runtime.result import StageResult

    tolerances = from_words(Tolerances, vars(values))
    true, found = (file_of(Path(name)) for name in (values.true, values.found))
    if values.page:
        keep_inputs(values.page, true, found)
    result = compare(
        true,
        found,
        omega_step=values.omega_step,
        turn_positions=values.turn_positions == 1,
        space_group=values.space_group,
        lattice=values.lattice,
        one_to_one=True,
    )
    print(result.grain_table())
    print(result.table())
    beyond = tolerances.exceeded(result)
    verdict = f"beyond the tolerance: {'; '.join(beyond)}" if beyond else "within the tolerance"
    rows: dict[str, object] = {"Verdict": verdict} if tolerances.any else {}
    if values.page:
        rows |= _written(result, (values.true, values.found), verdict if tolerances.any else "", Path(values.page))
    outcome = StageResult("compare", rows, result)
    if beyond:
        raise IncompleteError(verdict, outcome)
    return outcome


def _written(found: Comparison, names: tuple[str, str], verdict: str, page: Path) -> dict[str, object]:
    """Write the page, and say where it is."""
    from midas.results.figures.comparison import comparison_page
    from midas.runtime.files import readable, write_atomic

    write_atomic(page, readable(comparison_page(found, names, verdict)).encode())
    return {"Next": f"open {page}"}


PROGRAMS = (
    Program(
        names=("ff-compare",),
        does=(
            "Compare the grains that an analysis found with the true ones of a simulation, or with those of another "
            "analysis: which were found, which are spurious, and the differences of orientation, position and cell. "
            "Every grain has one partner at most; of all ways to pair them the one of least differences counts."
        ),
        uses=(
            "Reads two grain lists of any kind: Grains.csv, a list of true grains, a layer folder, a consolidated HDF5 "
            "file, a table of ff-stitch, grains.out of HEXRD, .map or .ubi of ImageD11. Prints two tables and writes "
            "nothing but the page, where one is asked for. The recorded omega of a frame is that of its beginning, so "
            "that the first sample is turned by half a frame before the comparison (--omega-step; not for two found "
            "lists). With a tolerance (-tol...) the exit code is 1 when it is exceeded."
        ),
        examples=(
            ("ff-compare GrainsSim.csv LayerNr_1/Grains.csv --omega-step 0.25", "frames of 0.25 degrees"),
            ("ff-compare grains.out LayerNr_1 -page Compared.html", "two analyses, and a page about them"),
            ("ff-compare before/Grains.csv LayerNr_1 -tolPosition 2 -tolAngle 0.01 -tolMissing 0", "for scripts"),
        ),
        arguments=(
            Argument("true", "grain list of the simulation, or of the other analysis"),
            Argument("found", "grain list or layer folder of the analysis"),
        ),
        options=(
            Option("--omega-step", "rotation per frame: the true sample is turned by half of it", float, 0.0),
            Option(
                "--turn-positions",
                "1: positions too; 0: orientations only, as in the published legacy figures",
                int,
                1,
            ),
            Option("--space-group", "symmetry; by default from the header of FOUND, or else of TRUE", int),
            Option(
                "--lattice",
                "unstrained cell a b c alpha beta gamma; by default from the header of FOUND, or else of TRUE",
                float,
                None,
                6,
            ),
            *options_of(Tolerances),
            Option("-page", "a page (HTML) of the comparison is written to this file"),
        ),
        run=run,
    ),
)
