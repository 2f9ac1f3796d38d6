"""The grains: map, table, and for each what speaks for it."""

from __future__ import annotations

from midas.results import figures
from midas.results.report import columns, montages, spots
from midas.results.report.choices import choices
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source):
        return None
    results = source.results
    data: dict[str, object] = {"grains": columns.packed_grains(source), "choices": choices(source)}
    for name, part in (("spots", spots.packed_spots(source)), ("montages", montages.packed_montages(source))):
        if part is not None:
            data[name] = part
    key = Drawing("ipf-key", figures.ipf_key(results.space_group, results.cell), label="Colours of crystal directions")
    return Section(
        "grains",
        "Grains",
        "Where the grains are, in the frame of the sample at omega = 0: X along the beam, Z up along the rotation "
        "axis. The size of a marker goes with the radius of the grain; a thin layer is drawn taller than it is.",
        template="grains.html.j2",
        drawings=[key],
        data=data,
    )
