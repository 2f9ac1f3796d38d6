"""The stresses of ``ff-stress``, where it has run."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, PageTable, Section
from midas.results.report.source import Source


def section(source: Source) -> Section | None:
    """None without ``Stress.csv``, or where that is of other grains."""
    if source.stress is None or source.stress_file is None:
        return None
    drawing = Drawing(
        "stress-components",
        figures.strains(source.results, source.stress, "MPa", "Stress"),
        label="Components of the stress",
    )
    notes = [(key, text) for key, text in source.stress_file.notes.items() if key not in _OF_THE_RUN]
    return Section(
        "stresses",
        "Stresses",
        "From the strains and the stiffness of the single crystal (ff-stress), in the frame of the sample. They are as "
        "good as the reference cell: see what it says of d0.",
        [drawing],
        [PageTable("", ("", ""), notes)],
        values={"layout": "one"},
    )


#: of the header, where the file comes from
_OF_THE_RUN = ("command", "date", "input", "inputs", "program")
