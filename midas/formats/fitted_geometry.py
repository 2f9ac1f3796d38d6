"""What a refined geometry is written as: ``GeometryFit.csv`` and ``GeometrySpots.csv`` (docs/formats.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from midas.formats.table import Layout, fixed, integer, refuse_nul
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

_HEADER = "%name\tstart\tvalue\tsigma\tchange/sigma\tunit(px)\tpartner\tr\tverdict"
_NOBODY = "-"


@dataclass(frozen=True)
class FittedNumber:
    """A line of ``GeometryFit.csv``: a number of the instrument.

    Parameters
    ----------
    name : of the number
    start, value : before and after
    sigma : standard deviation; NaN where it was not fitted
    pixel : the change that moves spots far out by one pixel
    partner : what it goes with; "" for nothing
    r : correlation with that; NaN where there is none
    verdict : in words
    """

    name: str
    start: float
    value: float
    sigma: float
    pixel: float
    partner: str
    r: float
    verdict: str

    @property
    def change_in_sigma(self) -> float:
        """NaN where it was not fitted."""
        return (self.value - self.start) / self.sigma if self.sigma > 0 else float("nan")


def format_fit(numbers: Iterable[FittedNumber]) -> bytes:
    """Content of ``GeometryFit.csv``."""
    lines = [_HEADER]
    for n in numbers:
        figures = f"{n.start:.10g}\t{n.value:.10g}\t{n.sigma:.4g}\t{n.change_in_sigma:.4g}\t{n.pixel:.6g}"
        lines.append(f"{n.name}\t{figures}\t{n.partner or _NOBODY}\t{n.r:.3f}\t{n.verdict}")
    return ("\n".join(lines) + "\n").encode()


def read_fit(path: str | os.PathLike[str]) -> list[FittedNumber]:
    """Read ``GeometryFit.csv``."""
    found = []
    content = read_bytes(path, advice="run ff-geometry first")
    refuse_nul(content, path)
    lines = content.decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines[1:], 2):
        words = line.split("\t")
        try:
            name, start, value, sigma, _, pixel, partner, r, verdict = words
            first, last, deviation, size, correlation = map(float, (start, value, sigma, pixel, r))
        except ValueError:
            raise FormatError(
                "must hold a name, five numbers, a partner, r and a verdict", file=path, line=number
            ) from None
        of = "" if partner == _NOBODY else partner
        found.append(FittedNumber(name, first, last, deviation, size, of, correlation, verdict))
    return found


#: ``GeometrySpots.csv``: a line a spot of the fit; `held` is 1 where its residuals as an unseen spot are known
GEOMETRY_SPOTS = Layout(
    header="%GrainID\tSpotID\th\tk\tl\tBranch\tdet\tr_r\tr_t\tr_omega\tweight\theld\theld_r\theld_t",
    columns=(
        *map(integer, ("GrainID", "SpotID", "h", "k", "l", "Branch", "det")),
        *fixed("r_r r_t", 4),
        *fixed("r_omega"),
        *fixed("weight", 4),
        integer("held"),
        *fixed("held_r held_t", 4),
    ),
    separator="\t",
    written_by="ff-geometry",
    free=("held_r", "held_t"),
)
