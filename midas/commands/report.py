"""``ff-report``: the page about the grains of a layer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.report.options import ReportOptions
from midas.runtime.options import absolute, from_words, options_of

if TYPE_CHECKING:
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Path]:
    """Write the page."""
    from midas.results import report
    from midas.results.reading import read_results
    from midas.runtime.files import keep_inputs
    from midas.runtime.parallel import thread_count
    from midas.runtime.result import StageResult

    options = from_words(ReportOptions, dict(vars(values)))
    options.check_numbers()
    layer = absolute(values.layer or ".")
    archive = absolute(values.archive) if values.archive else None
    results = read_results(layer, archive=archive)
    if options.output is not None:
        others = [path for path in results.folder.iterdir() if path.suffix not in (".html", ".png")]
        keep_inputs(options.output, layer, *others)
    page = report.PageOptions(montages=options.montages, threads=thread_count(options.threads))
    path = report.write(results, options.output, page)
    rows = {
        "Grains": len(results),
        "Report": str(path),
        "Picture": str(path.with_suffix(".png")),
        "Size": f"{path.stat().st_size / 1e6:.1f} MB",
        "Next": f"open {path} in a browser",
    }
    return StageResult("report", rows, path)


PROGRAMS = (
    Program(
        names=("ff-report",),
        does=(
            "Write one web page about the grains of a layer: what is suspicious and what to do about it, in words; "
            "what became of frames, spots and seeds; a map, a table of the grains and for each of them its spots and "
            "raw pixels; residuals, orientations, sizes, strains, stresses."
        ),
        uses=(
            "Reads a finished layer folder, a consolidated HDF5 file or a Grains.csv, and writes one file that any "
            "browser opens without a network. ff-midas writes the same page at the end of every layer; run ff-report "
            "again after ff-stress, ff-geometry or ff-pull."
        ),
        examples=(
            ("ff-report results/LayerNr_1", "the page in the layer folder"),
            ("ff-report results/LayerNr_1 -o sample.html -montages 50", "elsewhere, with the pixels of 50 grains"),
        ),
        arguments=(
            Argument("layer", "layer folder, HDF5 file or Grains.csv; by default the current folder", str, False),
        ),
        options=options_of(ReportOptions),
        run=run,
    ),
)
