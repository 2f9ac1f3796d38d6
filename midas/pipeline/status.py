"""``ff-midas status``: what the ledgers of a result folder say (docs/reliability.md#resume)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.formats.ledger import Entry, Ledger, read_ledger
from midas.ledger import steps
from midas.ledger.standing import Asked, Reason, changed_files, standing
from midas.ledger.steps import Step, first_of
from midas.parameters import Parameters
from midas.pipeline.opened_layer import opened_layer
from midas.pipeline.resume import of_passes
from midas.pipeline.step_names import STEPS
from midas.pipeline.steps import counts_of
from midas.runtime.errors import FormatError, MidasError, printable, shown
from midas.runtime.locks import is_alive

log = logging.getLogger(__name__)

#: steps whose inputs only the options of a run tell
_FROM_ELSEWHERE = ("ZipOut", "spot_table")

_HEAD = ("step", "state", "when", "seconds", "found", "with -resume 1")


def lines(folder: Path) -> list[str]:
    """The table of a layer folder, or one of each layer in a result folder.

    Raises
    ------
    FormatError : there is no ledger
    """
    folders = [folder] if Layer(folder).ledger.exists() else _layers(folder)
    if not folders:
        raise FormatError("holds no layer with a ledger (midas_log/ledger.json)", file=folder)
    text = []
    for one in folders:
        text += [shown(one), *map(printable, _table(_rows(one))), ""]
    return text[:-1]


def _layers(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FormatError("is not a folder", file=folder)
    found = [path for path in folder.iterdir() if Layer(path).ledger.exists()]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns, the last one as long as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    return [
        "  " + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def _rows(folder: Path) -> list[tuple[str, ...]]:
    layer, ledger = _layer(folder), read_ledger(Layer(folder).ledger)
    reasons = _reasons(layer, ledger)
    order = list(STEPS)

    def place(entry: Entry) -> tuple[int, int]:
        kind = first_of(entry.step)
        return (order.index(kind) if kind in order else order.index("fit_setup"), entry.number)

    rows: list[tuple[str, ...]] = [_HEAD]
    for entry in sorted((e for e in ledger.entries.values() if e.step != steps.PASSES), key=place):
        found = ", ".join(f"{count} {label}" for label, count in counts_of(entry.step, [entry.counts]).items())
        seconds = f"{entry.seconds:.2f}" if entry.complete else ""
        rows.append((entry.step, entry.state, entry.date, seconds, found, _outlook(layer, ledger, entry, reasons)))
    return rows


def _outlook(layer: Layer, ledger: Ledger, entry: Entry, reasons: dict[str, Reason]) -> str:
    reason = reasons.get(first_of(entry.step))
    if entry.step in _FROM_ELSEWHERE:  # what these read is not known here
        text = "" if entry.complete else _process(entry)
        text = text or changed_files(layer.folder, entry, of_passes(layer, ledger))
        return f"again: {text}" if text else "kept"
    if entry.step != first_of(entry.step):
        return "kept" if reason is None else "as the first pass"
    if reason is None:
        return "kept"
    return f"again: {_process(entry)}" if not entry.complete and not reason.follows else f"again: {reason.text}"


def _process(entry: Entry) -> str:
    """What has become of a step that is not complete."""
    who = f"pid {entry.pid} on {entry.host}"
    if entry.blocks > 1:
        return f"{len(entry.members)} of {entry.blocks} blocks are complete"
    if entry.host != socket.gethostname():
        return f"started by {who}; whether that still runs is not known here"
    return f"started by {who}, which still runs" if is_alive(entry.pid) else f"started by {who}, no longer running"


def _layer(folder: Path) -> Layer:
    """The layer as the pipeline has it, with the archive in its folder."""
    archives = sorted(folder.glob("*.MIDAS.zip"))
    if len(archives) != 1:
        return Layer(folder, folder_text=f"{folder}/")
    try:
        return opened_layer(folder, archives[0])[0]
    except MidasError as error:
        log.warning("%s", error)
        return Layer(folder, archives[0], f"{folder}/")


def _reasons(layer: Layer, ledger: Ledger) -> dict[str, Reason]:
    """Why steps would run again; options and raw files are taken to be those of the run before."""
    known = [one for one in _asked(layer, ledger) if one.step.name in ledger.entries]
    return standing(layer, ledger, known)


def _asked(layer: Layer, ledger: Ledger) -> Iterator[Asked]:
    """The steps that a run may have, each with what it was asked for."""

    @cache
    def written() -> Parameters:
        return Parameters.read(layer.paramstest, "paramstest")

    @cache
    def of_archive() -> Parameters:
        if layer.archive is None:
            return written()
        with Archive(layer.archive) as archive:
            return archive.parameters

    appended = of_passes(layer, ledger)
    if layer.archive is not None:
        yield Asked(steps.first_look(layer.look), of_archive, same=True)
    plain: tuple[Step, ...] = (steps.HKLS, steps.PEAKS, steps.MERGE, steps.RADIUS)
    for step in plain:
        yield Asked(step, of_archive, same=True)
    yield Asked(steps.FIT_SETUP, of_archive, appended=appended, same=True)
    yield Asked(steps.BINNING, written, same=True)
    yield Asked(steps.INDEXING, written, appended=appended, same=True)
    yield Asked(steps.REFINEMENT, written, appended=appended, same=True)
    yield Asked(steps.PROCESS_GRAINS, of_archive, latest=appended, same=True)
    yield Asked(steps.PULL, of_archive, same=True)
    yield Asked(steps.SIGMA, of_archive, same=True)
    yield Asked(steps.CONSOLIDATION, of_archive, latest=appended, same=True)
    yield Asked(steps.geometry(None), of_archive, same=True)
    yield Asked(steps.REPORT, of_archive, same=True)
