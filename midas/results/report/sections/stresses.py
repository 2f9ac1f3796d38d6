"""The stresses of ``ff-stress``, where it has run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from midas.formats.stress import StressFile
from midas.results import figures
from midas.results.report.section import Drawing, PageTable, Section
from midas.results.report.source import Source

#: of the header: where the file comes from, and what the table of the averages shows
_NOT_SHOWN = ("command", "date", "input", "inputs", "program", "units")
_COMPONENTS = ("11", "22", "33", "23", "13", "12")
#: rows of the table of the averages: what they are called, and by which note they are known
_AVERAGES = {"average": "average", "± measured": "average sigma", "± sampling": "average sampling error"}


def section(source: Source) -> Section | None:
    """None without ``Stress.csv``, or where that is of other grains."""
    if source.stress is None or source.stress_file is None:
        return None
    drawing = Drawing(
        "stress-components",
        figures.strains(source.results, source.stress, "MPa", "Stress"),
        label="Components of the stress",
    )
    notes = source.stress_file.notes
    rest = [(key, text) for key, text in notes.items() if key not in (*_NOT_SHOWN, *_AVERAGES.values())]
    tables = [*_averages(notes), *_slip(source.stress_file), PageTable("Where they come from", (), rest, numbers=False)]
    return Section(
        "stresses",
        "Stresses",
        "From the strains and the stiffness of the single crystal (ff-stress), in the frame of the sample. They are as "
        "good as the reference cell: see what it says of d0.",
        [drawing],
        tables,
        values={"layout": "one"},
    )


def _averages(notes: Mapping[str, str]) -> list[PageTable]:
    """The average over the volume, and how well it is known: from the spots, and from so many grains."""
    rows = [(name, *(_short(word) for word in notes[key].split())) for name, key in _AVERAGES.items() if key in notes]
    rows = [row for row in rows if len(row) == len(_COMPONENTS) + 1]
    return [PageTable("Average over the volume of the grains, MPa", ("", *_COMPONENTS), rows)] if rows else []


def _short(word: str) -> str:
    try:
        number = float(word)
    except ValueError:
        return word
    return f"{number:.1f}" if abs(number) >= 1 else f"{number:.2g}" if np.isfinite(number) else "–"


def _slip(found: StressFile) -> list[PageTable]:
    """How often each slip system is the one with the largest resolved shear; nothing without systems."""
    if not found.systems:
        return []
    system, shear = found.table.integers("System"), found.table["MaxShear"]
    rows = []
    for number, text in enumerate(found.systems, 1):
        own = shear[system == number]
        if len(own):
            rows.append((text, f"{len(own)}", f"{np.median(own):.1f}", f"{own.max():.1f}"))
    heads = ("slip system", "grains in which it is the most loaded", "median shear, MPa", "largest, MPa")
    return [PageTable("Resolved shear stress", heads, rows)]
