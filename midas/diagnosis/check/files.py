"""Files that the parameters or the command line name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from midas._ext.numerics.elementwise import hypot
from midas.convert import sweep
from midas.convert.mask import read_mask
from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.formats.grains import read_grains
from midas.parameters.table import KEYS
from midas.runtime import logs
from midas.runtime.errors import MidasError


def named_files(subject: Subject) -> Iterator[Finding]:
    """Files that do not exist."""
    request = subject.request
    for name in ("PanelShiftsFile", *(("Dark", "MaskFN", "FloodFN") if request.converts else ())):
        if not subject.given(name) or not (value := subject.values[name]):
            continue
        for item, file in enumerate(value if KEYS[name].lines else (value,)):
            if not sweep.exists(request.located(file)):
                reason = f"there is no such file, nor in {request.folder}"
                yield subject.finding(name, reason, item=item if KEYS[name].lines else None)


def mask(subject: Subject) -> Iterator[Finding]:
    """A mask that does not fit the frames, which the conversion would only find out at its end."""
    scan = subject.scan
    if scan is None or not subject.request.converts or not subject.given("MaskFN") or not subject.values["MaskFN"]:
        return
    try:
        with logs.muted("midas.convert.mask"):
            read_mask(subject.request.located(subject.values["MaskFN"]), (scan.rows, scan.columns), np.dtype("<u2"))
    except MidasError as error:
        yield Finding.of(error, subject.source)


def tracking(subject: Subject) -> Iterator[Finding]:
    """Seed grains that are not there or not in the sample."""
    if "indexing" not in subject.request.parts or not subject.given("GrainsFile") or not subject.values["GrainsFile"]:
        return
    path = subject.request.located(subject.values["GrainsFile"])
    if not path.is_file():
        yield subject.finding("GrainsFile", "there is no such file; it must be a Grains.csv with the seed grains")
        return
    try:
        with logs.muted("midas.formats.grains"):
            grains = read_grains(path, through="GrainRadius", strict=False)
    except MidasError as error:
        yield Finding.of(error, subject.source)
        return
    if not len(grains):
        yield subject.finding("GrainsFile", "holds no grains; there is nothing to look for")
    elif subject.given("Rsample", "Hbeam"):
        x, y, z = (grains[axis] for axis in ("X", "Y", "Z"))
        outside = (hypot(x, y) > subject.values["Rsample"]) | (np.abs(z) > subject.values["Hbeam"] / 2)
        if outside.any():
            reason = f"{outside.sum()} of {len(grains)} grains lie outside Rsample {subject.values['Rsample']:g} and "
            reason += f"Hbeam {subject.values['Hbeam']:g} µm, where none is sought"
            yield subject.finding("GrainsFile", reason, warning=True)
