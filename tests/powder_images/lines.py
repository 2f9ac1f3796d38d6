"""The lines of powders, from their index rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

#: of the set: strengths are relative to the height of a ring
STRONG, WEAK, OTHER, FADING = 1.0, 0.3, 0.5, 0.015


@dataclass(frozen=True)
class Lines:
    """Rings of a powder by falling spacing.

    Parameters
    ----------
    d_spacing : (r,) Å
    multiplicity : (r,) reflections of each ring
    strength : (r,) height of each ring
    """

    d_spacing: NDArray[np.float64]
    multiplicity: NDArray[np.int64]
    strength: NDArray[np.float64]


def face_centred(h: int, k: int, l: int) -> bool:  # noqa: E741
    """Fluorite, CeO2."""
    return h % 2 == k % 2 == l % 2


def diamond(h: int, k: int, l: int) -> bool:  # noqa: E741
    """Silicon."""
    return face_centred(h, k, l) and (h % 2 == 1 or (h + k + l) % 4 == 0)


def primitive(h: int, k: int, l: int) -> bool:  # noqa: E741
    """LaB6."""
    return True


def lines(edges: tuple[float, float, float], rule: Callable[[int, int, int], bool], smallest: float) -> Lines:
    """Rings of a crystal with right angles down to a spacing (Å); equal spacings are one ring.

    A ring of N = h² + k² + l² has the strength of its family times exp(-0.015 N), shared out over the spacings of the
    family (N) by multiplicity.
    """
    families: dict[int, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    most = int(max(edges) / smallest) + 1
    for h, k, l in product(range(-most, most + 1), repeat=3):  # noqa: E741
        if rule(h, k, l) and (h or k or l):
            d = 1 / np.sqrt((h / edges[0]) ** 2 + (k / edges[1]) ** 2 + (l / edges[2]) ** 2)
            families[h * h + k * k + l * l][round(float(d), 10)] += 1
    rows = []
    for square, spacings in families.items():
        family = STRONG if square in (3, 8, 11) else WEAK if _even_square(square) else OTHER
        for d, count in spacings.items():
            if d >= smallest:
                rows.append((d, count, family * np.exp(-FADING * square) * count / sum(spacings.values())))
    d_spacing, multiplicity, strength = zip(*sorted(rows, reverse=True), strict=True)
    return Lines(np.array(d_spacing), np.array(multiplicity), np.array(strength))


def _even_square(square: int) -> bool:
    """Whether N belongs to the family of 200: even indices with h + k + l = 4 n + 2, weak in fluorite."""
    return square % 8 == 4
