"""The powder profile: what is on the frames, and where the rings are."""

from __future__ import annotations

from midas.results import figures
from midas.results.evidence import powder_profile
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source
from midas.runtime.errors import MidasError


def section(source: Source) -> Section | None:
    """None where the layer does not say where its rings are."""
    if not len(source):
        return None
    try:
        profile = powder_profile(source.results)
    except MidasError as error:
        source.missing.append(f"No powder profile: {error}")
        return None
    drawing = Drawing("powder-profile", figures.powder_profile(profile), label="Intensity against two-theta")
    return Section(
        "powder",
        "Powder profile",
        "The spots of all grains summed along two-theta. A line without intensity is a ring that was not measured; "
        "intensity beside the lines is another phase, or a distance or cell that is wrong.",
        [drawing],
        values={"layout": "one"},
    )
