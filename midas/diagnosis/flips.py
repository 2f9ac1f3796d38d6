"""Whether the image lies in the laboratory as the user says: flips, transposition and the sense of omega.

See docs/theory/diagnosis.md#image-flips.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas.diagnosis.trial import AS_GIVEN, Outcome, Trial, View
from midas.experiment.image import PaddedImage

#: the better view must reach this completeness, and so much more than any other
CONVINCING = 0.5
AHEAD = 0.2
#: a beam centre this close to the given one is the same, pixels
_SAME_CENTRE = 0.35

#: ImTransOpt of the eight ways in which an image can lie
WORDS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2), (3,), (1, 3), (2, 3), (1, 2, 3))

_REVERSE_COLUMNS = np.array([[-1, 0], [0, 1]])
_REVERSE_ROWS = np.array([[1, 0], [0, -1]])
_TRANSPOSE = np.array([[0, 1], [1, 0]])
_ACTS = {1: _REVERSE_COLUMNS, 2: _REVERSE_ROWS, 3: _TRANSPOSE}


class Setting(NamedTuple):
    """What a user would write.

    Parameters
    ----------
    operations : the lines ImTransOpt, in order
    reversed_omega : whether OmegaStep has the other sign
    beam_centre : BC (px) for which the observed rings are centred, in the padded and transformed image; None: as given
    turned : whether the image lies otherwise than as given
    """

    operations: tuple[int, ...]
    reversed_omega: bool
    beam_centre: tuple[float, float] | None
    turned: bool

    def changes(self) -> tuple[int, int]:
        """How much of it is new."""
        return self.turned + self.reversed_omega + (self.beam_centre is not None), len(self.operations)

    def text(self, omega_step: float) -> str:
        """The lines that are new."""
        parts = []
        if self.turned:
            parts.append(f"ImTransOpt {' and '.join(map(str, self.operations)) or '0'}")
        if self.reversed_omega:
            parts.append(f"OmegaStep {-omega_step:g}")
        if self.beam_centre is not None:
            parts.append(f"BC {self.beam_centre[0]:.2f} {self.beam_centre[1]:.2f}")
        return ", ".join(parts) or "all as it is"


@dataclass(frozen=True)
class Flips:
    """The four classes of settings that the spots can tell apart, and what each reaches.

    Parameters
    ----------
    outcomes : by view, the one as given first
    best : the view that is better than all others; None: the data cannot tell
    """

    outcomes: dict[View, Outcome]
    best: View | None

    @property
    def is_other(self) -> bool:
        """Whether another view than the given one is right."""
        return self.best is not None and (self.best.transposed or self.best.mirrored)


def compare_views(trial: Trial, view: View = AS_GIVEN, without: frozenset[int] = frozenset()) -> Flips:
    """Index the same seeds in all four classes; `view` says where the rings are centred, and how large they are."""
    views = [
        View(view.scale, view.centre, transposed, mirrored)
        for transposed, mirrored in itertools.product((False, True), repeat=2)
    ]
    outcomes = {each: trial.outcome(each, without) for each in views}
    ranked = sorted(views, key=lambda each: -outcomes[each].leading)
    first, second = (outcomes[each].leading for each in ranked[:2])
    return Flips(outcomes, ranked[0] if first >= CONVINCING and first >= second + AHEAD else None)


def _action(operations: Sequence[int]) -> NDArray[np.int64]:
    """What a list of ImTransOpt does to (column, row) about the middle of the image."""
    total = np.eye(2, dtype=np.int64)
    for operation in operations:
        total = _ACTS.get(operation, np.eye(2, dtype=np.int64)) @ total
    return total


def settings_of(
    view: View, image: PaddedImage, given: tuple[float, float], observed: tuple[float, float]
) -> list[Setting]:
    """The settings of the class of a view, those first that leave more as it is.

    Parameters
    ----------
    image : the raw frames, with ImTransOpt as given
    given, observed : BC as given, and where the rings are centred, px, in the image as given

    Notes
    -----
    A sample seen upside down is the mirror image of a sample, and so is one that turns the other way and is seen from
    behind: rows may be reversed, and columns together with omega, without any change of what the spots say.
    """
    centre = image.to_raw(*observed)
    words = {_action(word).tobytes(): word for word in WORDS}
    own = words[_action(image.operations).tobytes()]
    found = []
    for reverse_columns, reverse_rows in itertools.product((False, True), repeat=2):
        action = _action(image.operations)
        for applies, act in ((view.transposed, 3), (reverse_columns, 1), (reverse_rows, 2)):
            action = _ACTS[act] @ action if applies else action
        word = words[np.ascontiguousarray(action).tobytes()]
        there = PaddedImage(image.rows, image.columns, word).from_raw(*centre)
        fits = float(np.abs(np.subtract(there, given)).max()) < _SAME_CENTRE
        found.append(Setting(word, reverse_columns != view.mirrored, None if fits else there, word != own))
    return sorted(found, key=Setting.changes)
