"""Keys that nobody reads, keys that stand twice, values that nothing acts on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.parameters.table import (
    FOREIGN_FLOATS,
    FOREIGN_INTS,
    FOREIGN_OTHERS,
    FOREIGN_WORDS,
    KEYS,
    spellings,
)

_KNOWN = spellings("user")
#: keys that legacy files carry for other programs; their case does not matter, since nothing reads them
_FOREIGN = {name.lower() for name in FOREIGN_FLOATS | FOREIGN_INTS | FOREIGN_OTHERS | FOREIGN_WORDS}
_FOREIGN |= {name.lower() for key in KEYS.values() for names in key.dialect_aliases.values() for name in names}

#: names as alike as this are the same name with a slip of the pen; short ones differ more by one letter
_ALIKE, _ALIKE_IF_SHORT, _SHORT = 0.8, 0.6, 4
_SEPARATORS = re.compile(r"[=:,;]+")


def unknown_keys(subject: Subject) -> Iterator[Finding]:
    """A slip of the pen is an error if it makes its key missing; a key of nobody's is a warning."""
    for name, found in subject.occurrences.items():
        if name in KEYS or name.lower() in _FOREIGN:
            continue
        line = found[0].line
        bare = _SEPARATORS.split(name)[0]
        if bare != name and bare in _KNOWN:
            reason = f"is read as one word; put a blank between {bare} and its value, without {name[len(bare)]}"
            yield Finding(reason, name, line=line, is_error=not subject.given(_KNOWN[bare].name))
            continue
        meant = nearest(bare or name)
        if meant is None:
            reason = "is no parameter that midas knows; nothing reads it"
            yield Finding(reason, name, line=line, is_error=False)
        elif _KNOWN[meant].name in subject.values:
            reason = f"is not a parameter; did you mean {meant}, which is also given? Nothing reads it"
            yield Finding(reason, name, line=line, is_error=False)
        else:
            yield Finding(f"is not a parameter; did you mean {meant}?", name, line=line)


def nearest(name: str) -> str | None:
    """The known key that `name` is most like; upper and lower case are alike."""
    lower = {known.lower(): known for known in (*_KNOWN, *KEYS)}  # of two spellings the one of the table
    cutoff = _ALIKE_IF_SHORT if len(name) <= _SHORT else _ALIKE
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[near[0]] if near else None


def repeated_keys(subject: Subject) -> Iterator[Finding]:
    """Keys with one value that are given several ones; rings that are."""
    for name, found in subject.occurrences.items():
        if name not in KEYS or KEYS[name].is_list:
            continue
        *earlier, last = found
        other = next((one for one in earlier if one.value != last.value), None)
        if other is not None:
            also = f" as {other.name}" if other.name != last.name else ""
            reason = f"stands in line {other.line}{also} with another value; the last one counts, remove one of them"
            yield Finding(reason, last.name, last.value, last.line, is_error=False)
    rings: dict[int, int] = {}
    for found_ring in subject.occurrences.get("RingThresh", []):
        ring = int(found_ring.value[0][0])
        if ring in rings:
            reason = f"ring {ring} stands in line {rings[ring]} too; the last threshold counts"
            yield Finding(reason, found_ring.name, line=found_ring.line, is_error=False)
        rings[ring] = found_ring.line


def surplus_numbers(subject: Subject) -> Iterator[Finding]:
    """More numbers than a key has."""
    for name, found in subject.occurrences.items():
        for one in found:
            numbers = [word for word in one.surplus if _is_number(word)]
            if numbers and name in KEYS and one.name.lower() not in _FOREIGN:
                count = KEYS[name].count
                reason = f"has {count + len(numbers)} numbers, of which {count} count{'s' if count == 1 else ''}"
                yield Finding(reason, one.name, line=one.line, is_error=False)


def _is_number(word: str) -> bool:
    try:
        float(word.rstrip(";"))
    except ValueError:
        return False
    return True


def without_effect(subject: Subject) -> Iterator[Finding]:
    """Values that ask for something that this version does not do; whoever reads the file says so, too."""
    for name, value in subject.values.items():
        key = KEYS[name]
        if key.ignored(value):
            yield subject.finding(name, f"has no effect yet: {key.not_yet}", warning=True)
