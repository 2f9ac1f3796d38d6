"""How far two grain lists may differ: what scripts ask of ``ff-compare`` (docs/tracking.md#compare)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.results.matching.compare import Comparison
from midas.runtime.errors import UsageError
from midas.runtime.options import NUMBER, option


@dataclass(frozen=True)
class Tolerances:
    """Largest differences that are allowed; None is any."""

    position: float | None = option("-tolPosition", NUMBER, None, "largest distance of two partners, µm")
    angle: float | None = option("-tolAngle", NUMBER, None, "largest misorientation of two partners, degrees")
    strain: float | None = option(
        "-tolStrain", NUMBER, None, "largest difference of their lattices, rms of the strain components, 1e-6"
    )
    missing: float | None = option("-tolMissing", NUMBER, None, "grains of TRUE without a partner, percent of them")
    surplus: float | None = option("-tolSurplus", NUMBER, None, "grains of FOUND without a partner, percent of them")
    part: float = option(
        "-tolPart", NUMBER, 100.0, "percent of the pairs that must be within the first three, the best ones"
    )

    def __post_init__(self) -> None:
        for name in ("position", "angle", "strain", "missing", "surplus"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError("must not be negative", key=f"-tol{name.capitalize()}", value=value)
        if not 0 < self.part <= 100:
            raise UsageError("must be greater than 0 and at most 100", key="-tolPart", value=self.part)

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return any(v is not None for v in (self.position, self.angle, self.strain, self.missing, self.surplus))

    def exceeded(self, found: Comparison) -> list[str]:
        """What is beyond its limit, each in a few words."""
        strain = 1e6 * np.sqrt(np.mean(found.lattice_strain**2, axis=(1, 2)))
        measures = (
            ("position", self._worst(found.distance), self.position, "µm", "-tolPosition"),
            ("misorientation", self._worst(found.misorientation), self.angle, "degrees", "-tolAngle"),
            ("strain", self._worst(strain), self.strain, "x 1e-6", "-tolStrain"),
            ("missing grains", _percent(len(found.lost), found.true_count), self.missing, "%", "-tolMissing"),
            ("surplus grains", _percent(found.spurious, found.found_count), self.surplus, "%", "-tolSurplus"),
        )
        beyond = [
            f"{name} {value:.3g} {unit} > {limit:g} ({flag})"
            for name, value, limit, unit, flag in measures
            if limit is not None and value > limit
        ]
        asked = (self.position, self.angle, self.strain)
        if not found.recovered and found.true_count and any(limit is not None for limit in asked):
            beyond.append("no grain has a partner")
        return beyond

    def _worst(self, values: NDArray[np.float64]) -> float:
        return float(np.percentile(values, self.part, method="inverted_cdf")) if len(values) else 0.0


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
