"""What a verdict is (docs/theory/verdicts.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: from what must be mended to what is good to know
WRONG, LOOK, NOTE = "wrong", "look", "note"
_ORDER = {WRONG: 0, LOOK: 1, NOTE: 2}


@dataclass(frozen=True)
class Verdict:
    """Something about a layer, in words.

    Parameters
    ----------
    topic : a word or two
    level : `WRONG`: mend it; `LOOK`: find out; `NOTE`: know it
    says : a sentence, with its numbers
    advice : what to do
    significance : how many standard errors the numbers are from nothing; 0 where that means nothing
    """

    topic: str
    level: str
    says: str
    advice: str = ""
    significance: float = 0.0


def ordered(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The worst first."""
    return sorted(verdicts, key=lambda verdict: _ORDER[verdict.level])
