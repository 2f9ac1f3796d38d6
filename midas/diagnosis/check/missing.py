"""Keys that the parts which are to run cannot do without."""

from __future__ import annotations

from collections.abc import Iterator

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.parameters.readers import READERS
from midas.parameters.table import KEYS, REQUIRED

#: keys of the table without a default that a part can do without
_OPTIONAL = frozenset(
    "BadPxIntensity GapIntensity ResultFolder OmegaStart OmegaFirstFile OmegaEnd OutputFolder OwnSigma PullBox".split()
)
#: parts whose parameters come from the user, not from paramstest.txt
_PARTS = ("hkls", "peaks", "radius", "fit_setup", "grains", "results")
#: what the names of raw files are made of
RAW_FILES = ("RawFolder", "FileStem", "Ext", "StartFileNrFirstLayer")


def missing_keys(subject: Subject) -> Iterator[Finding]:
    """Every key that is needed and not there, once, with what needs it."""
    needed: dict[str, str] = {}
    for part in subject.request.parts:
        if part in _PARTS:
            for name in sorted(_required_by(part, subject), key=list(KEYS).index):
                needed.setdefault(name, part)
    for name, part in needed.items():
        if name not in subject.values and name not in subject.faulty:
            key = KEYS[name]
            unit = f" ({key.unit})" if key.unit else ""
            yield Finding(f"is missing: {key.text}{unit}; add it, {part} needs it", name)
    yield from _raw_files(subject)


def _required_by(part: str, subject: Subject) -> set[str]:
    reader = READERS[part]
    required = {
        name for name in reader.keys - _OPTIONAL if KEYS[name].default is REQUIRED and reader.defaults.get(name) is None
    }
    if part in ("peaks", "radius", "fit_setup"):
        required.add("RingThresh")
    if subject.get("WidthTthPx") != -1:
        required.discard("Width")
    if subject.scan is not None and subject.scan.omegas is not None:
        required.discard("OmegaStep")  # the raw file says it
    return required


def _raw_files(subject: Subject) -> Iterator[Finding]:
    """How the raw files are called, unless the user has named one."""
    request = subject.request
    named = request.data_file or (subject.get("dataFN") and request.layer == 1)
    if not request.converts or named:
        return
    absent = [name for name in RAW_FILES if name not in subject.values and name not in subject.faulty]
    if not absent:
        return
    wrong = request.needs_frames or len(absent) < len(RAW_FILES)
    reason = (
        f"{' '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing: they say how the raw files are called; "
    )
    reason += "add them, or name the raw file with -dataFN"
    yield Finding(reason if wrong else f"{reason}. What depends on the frames is not checked", is_error=wrong)
