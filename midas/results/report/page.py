"""The page: its sections, its script and its style in one file."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import plotly.io
from plotly.offline import get_plotlyjs

from midas._version import __version__
from midas.formats.layer import CONSOLIDATED_ENDING, consolidated_files
from midas.formats.run_record import RunRecord, read_run_record
from midas.results.picture import summary_picture
from midas.results.reading import Results, read_results
from midas.results.report.packing import figure_json, script_json
from midas.results.report.section import Section
from midas.results.report.sections import SECTIONS
from midas.results.report.source import PageOptions, Source
from midas.results.tables.sigmas import POSITION_SIGMAS, together
from midas.runtime.files import readable, write_together

log = logging.getLogger(__name__)

_ASSETS = files("midas.results.report") / "assets"
#: of the figures; in the page once
_TEMPLATE = "plotly_white"


@dataclass(frozen=True)
class Fact:
    """A number under the title."""

    value: str
    label: str


def write(results: Results | Path, path: Path | None = None, options: PageOptions | None = None) -> Path:
    """Write the page about a layer, and a picture beside it that says the same in short.

    Parameters
    ----------
    results : or the layer folder
    path : of the page; by default `Layer.report`, of a lone file its name with ``_report.html``
    options : how much to show

    Returns
    -------
    the page; the picture has its name with ``.png``

    Raises
    ------
    FormatError : a table of the layer is missing or damaged
    """
    results = read_results(results) if isinstance(results, Path) else results
    path = _default_path(results) if path is None else path
    record = read_run_record(results.folder) if results.layer is not None else None
    source = Source(results, record, options or PageOptions())
    sections = _sections(source)
    text = _rendered(source, sections)
    lines = [(f"{verdict.topic}: {verdict.says}", verdict.level) for verdict in sections[0].values["verdicts"]]
    picture = summary_picture(results, lines, source.predicted)
    write_together({path: readable(text).encode(), path.with_suffix(".png"): picture})
    log.info("Report: %s", path)
    return path


def _default_path(results: Results) -> Path:
    """By the name of the one consolidated file, which may be that of the raw file; without one `Layer.report`."""
    layer = results.layer
    if layer is None or results.path.is_file():
        return results.path.with_name(f"{results.path.stem}_report.html")
    consolidated = consolidated_files(results.folder)
    if len(consolidated) != 1 or layer.consolidated.exists():
        return layer.report
    return results.folder / f"{consolidated[0].name.removesuffix(CONSOLIDATED_ENDING)}_report.html"


def page(results: Results, record: RunRecord | None = None, options: PageOptions | None = None) -> str:
    """The page as text.

    Parameters
    ----------
    record : of the run that found the grains
    """
    source = Source(results, record, options or PageOptions())
    return _rendered(source, _sections(source))


def _rendered(source: Source, sections: Sequence[Section]) -> str:
    """The page with these sections."""
    data = {"template": figure_template()}
    for section in sections:
        data |= {name: script_json(value) for name, value in section.data.items()}
        data |= {f"figure-{drawing.name}": figure_json(drawing.figure) for drawing in section.drawings}
    script, plotly_script = _script(), get_plotlyjs()
    count = len(source)
    return _environment().get_template("page.html.j2").render(
        title=f"{count} grain{'s' * (count != 1)} in {source.results.folder.absolute().name}",
        path=str(source.results.path.absolute()),
        policy=" ".join(map(_policy, (plotly_script, script))),
        style=_asset("page.css"),
        facts=list(_facts(source)),
        sections=sections,
        data=data,
        plotly=plotly_script,
        script=script,
        footer=f"Written by midas {__version__}. Everything is in this file; it needs no network.",
    )  # fmt: skip


def _sections(source: Source) -> list[Section]:
    """Those that the layer has something for; the verdicts, which say what is missing, are made last."""
    first, *others = SECTIONS
    found = [section for section in (make(source) for make in others) if section is not None]
    summary = first(source)
    return found if summary is None else [summary, *found]


def _facts(source: Source) -> Iterator[Fact]:
    grains, record = source.results.grains, source.record
    if record is not None:
        yield Fact(record.date.replace("T", " ").removesuffix("Z"), "UTC")
        yield Fact(record.version, "midas")
    yield Fact(f"{len(source):,}", "grains")
    yield Fact(f"{source.counts['spots of grains']:,}", "spots of grains")
    yield Fact(str(source.results.space_group), "space group")
    if len(source):
        yield Fact(f"{np.median(grains['completeness']):.3f}", "median completeness")
        yield Fact(f"{np.median(grains['radius']):.1f} µm", "median radius")
        yield Fact(f"{np.median(grains['diff_pos']):.2f} µm", "median residual of the spots")
        yield from _known(source)


def _known(source: Source) -> Iterator[Fact]:
    """How well the grains are known, which is not the residual of their spots."""
    sigma = source.results.sigma
    if sigma is None:
        return
    position = together(sigma, POSITION_SIGMAS)
    strain = np.asarray([sigma[f"sE{name}"] for name in ("11", "22", "33", "12", "13", "23")])
    if np.isfinite(position).any():
        yield Fact(f"{np.nanmedian(position):.2f} µm", "uncertainty of a position")
        yield Fact(f"{np.nanmedian(strain):.0f} × 10⁻⁶", "uncertainty of a strain")


def figure_template() -> str:
    """The look of the figures, which none of them repeats."""
    return script_json(plotly.io.templates[_TEMPLATE].to_plotly_json())


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _script() -> str:
    names = sorted(entry.name for entry in _ASSETS.iterdir() if entry.name.endswith(".js"))
    return "\n".join(map(_asset, names))


def _policy(script: str) -> str:
    """A script as the policy of the page names it: nothing else in the page is executed."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
