"""The grains: rim, copies, uncertainties (docs/theory/verdicts.md#grains)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.results.report.verdicts.verdict import LOOK, NOTE, WRONG, Verdict

Floats = NDArray[np.float64]

#: the rim is the outer quarter, compared with the inner half; fewer grains, or a smaller difference, say nothing
_FEWEST, _DIFFERENCE = 24, 0.04
#: chance of such a difference that is none any more; about 5 sigma
_CHANCE = 6e-7
#: share of grains that are flagged that is worth a look
_FLAGGED = 0.1
_FLAGS = {
    1: "share their spots with another grain",
    2: "have too few spots",
    3: "do not fit their spots",
    4: "are open",
}


def _chance_of(inner: Floats, outer: Floats) -> float:
    """Chance that numbers of one kind differ so much."""
    from scipy.stats import mannwhitneyu  # takes half a second, which a sample without a rim need not wait for

    return float(mannwhitneyu(inner, outer, alternative="greater").pvalue)


def rim(position: Floats, completeness: Floats) -> Iterator[Verdict]:
    """Completeness that is low at the rim of the sample: the beam is smaller than the sample.

    Parameters
    ----------
    position : (n, 3) µm
    completeness : (n,)
    """
    if len(position) < _FEWEST:
        return
    middle = np.median(position, axis=0)
    ways = {
        "away from the rotation axis": (hypot(*(position[:, :2]).T), "horizontally", "narrower"),
        "at the top and bottom": (np.abs(position[:, 2] - middle[2]), "vertically", "thinner"),
    }
    for where, (distance, along, smaller) in ways.items():
        outer = completeness[distance >= np.quantile(distance, 0.75)]
        inner = completeness[distance <= np.median(distance)]
        lower = float(np.mean(inner) - np.mean(outer))
        if lower < _DIFFERENCE or _chance_of(inner, outer) > _CHANCE:
            continue
        says = (
            f"Grains {where} are less complete: {np.mean(outer):.2f} on the average instead of {np.mean(inner):.2f} in "
            f"the middle. The beam is {along} {smaller} than the sample: they leave it while the sample turns."
        )
        advice = (
            "Grains at the rim are smaller than they look, and their neighbours outside are missing. A wider beam, or "
            "a lower Completeness with a check of the residuals of what is then found."
        )
        yield Verdict("Beam smaller than the sample", LOOK, says, advice, 5.0)


def few(grains: int, diagnosis: str) -> Iterator[Verdict]:
    """No grains, or a diagnosis of the run.

    Parameters
    ----------
    diagnosis : content of diagnosis.txt, "" where the run was satisfied; a line for each cause begins with a dash
    """
    causes = [line[2:] for line in diagnosis.splitlines() if line.startswith("- ")]
    for k, cause in enumerate(causes):
        what = "There are no grains" if not grains else "The grains explain little"
        says = f"{what}: {cause}" if not k else f"Also: {cause}"
        yield Verdict("Diagnosis", WRONG, says, "The numbers behind it are below, in Diagnosis." if not k else "")
    if not grains and not causes:
        says = "There are no grains, and the run left no diagnosis."
        advice = "Run ff-midas again: it says why, in midas_log/diagnosis.txt. ff-look and ff-check look before it."
        yield Verdict("No grains", WRONG, says, advice)


def duplicates(verdicts: Mapping[str, int]) -> Iterator[Verdict]:
    """What became of the seeds.

    Parameters
    ----------
    verdicts : seeds by the words of ``SeedVerdicts.csv``
    """
    removed = {word: verdicts.get(word, 0) for word in ("duplicate", "fragment", "ghost", "unsupported")}
    if not any(removed.values()):
        return
    words = {
        "duplicate": "were again the same grain",
        "fragment": "were parts of one",
        "ghost": "were made of the spots of others",
        "unsupported": "had too few spots of their own",
    }
    listed = ", ".join(f"{count} {words[word]}" for word, count in removed.items() if count)
    says = f"{sum(verdicts.values())} seeds gave {verdicts.get('crystal', 0)} grains; of the others {listed}."
    ghosts = removed["ghost"] + removed["unsupported"]
    if ghosts > verdicts.get("crystal", 0):
        advice = "More ghosts than grains: the spots overlap, or the tolerances are wide. See docs/theory/resolving.md."
        yield Verdict("Seeds", LOOK, says, advice)
        return
    yield Verdict("Seeds", NOTE, says, "That is usual: a grain is found once for each of its spots on the seed ring.")


def flags(flag: NDArray[np.int64]) -> Iterator[Verdict]:
    """Flags of ``GrainsSigma.csv``.

    Parameters
    ----------
    flag : (n,), 0 for a sound grain
    """
    count = int(np.count_nonzero(flag))
    if not count:
        return
    listed = ", ".join(f"{int((flag == k).sum())} {words}" for k, words in _FLAGS.items() if (flag == k).any())
    says = f"{count} of {len(flag)} grains have a flag: {listed}."
    advice = "Their uncertainties mean little. They are in the table: filter by flag > 0."
    yield Verdict("Flagged grains", LOOK if count > _FLAGGED * len(flag) else NOTE, says, advice)
