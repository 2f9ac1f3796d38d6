"""From frames to grains: what is left after every step (docs/theory/verdicts.md#funnel)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A step of the funnel.

    Parameters
    ----------
    label : what is counted
    count : how many
    note : against the step before, in words
    share : of those it is a part of, 0 ... 1; None where that means nothing
    """

    label: str
    count: int
    note: str = ""
    share: float | None = None


#: label, what it is compared with, how that is put: a share, or so many per one
_STEPS = (
    ("frames", "", ""),
    ("peaks", "frames", "{:.1f} per frame"),
    ("merged spots", "peaks", "{:.1f} peaks each"),
    ("spots on rings", "merged spots", "share"),
    ("accepted spots", "merged spots", "share"),
    ("spots of grains", "accepted spots", "share"),
    ("seeds", "", ""),
    ("indexed seeds", "seeds", "share"),
    ("grains", "seeds", "{:.1f} seeds each"),
)


def funnel(counts: Mapping[str, int]) -> list[Stage]:
    """The steps that are known, from the frames to the grains.

    Parameters
    ----------
    counts : by the labels of the steps
    """
    stages = []
    for label, other, words in _STEPS:
        if label not in counts:
            continue
        count, whole = counts[label], counts.get(other, 0)
        if not whole or not words:
            stages.append(Stage(label, count))
        elif words == "share":
            share = count / whole
            stages.append(Stage(label, count, f"{100 * share:.1f} % of the {other}", min(share, 1.0)))
        else:
            ratio = count / whole if label == "peaks" else whole / count if count else 0.0
            stages.append(Stage(label, count, words.format(ratio) if count else ""))
    return stages
