"""Which solution stands for a crystal (docs/theory/resolving.md#selection)."""

from __future__ import annotations

from pathlib import Path

from midas.formats.resolved import VERDICTS

from .owned_layer import OwnedLayer, Sample, scattered

#: how far the solutions of three seeds are turned (degrees), and their completeness: the nearest one is the poorest
TURNS, COMPLETENESS = (0.001, 0.02, 0.02), (0.9, 0.95, 1.0)


def test_of_solutions_with_the_same_spots_the_most_complete_one_stands_for_the_crystal(tmp_path: Path) -> None:
    """Not the one that explains them by a fraction of a spot better, of which the start of its search decides."""
    sample = Sample(*scattered(3))
    rows = [
        sample.solution(grain, seed, turn=turn, completeness=part)
        for grain in range(3)
        for seed, turn, part in zip(sample.spots_of(grain)[:3], TURNS, COMPLETENESS, strict=True)
    ]
    rows[1] = sample.solution(0, rows[1].seed, turn=0.01, completeness=1.0, angle=0.019)
    result = OwnedLayer(tmp_path, sample, rows).run()
    verdicts = [VERDICTS[int(v)] for v in result.data.seed_verdicts["Verdict"]]
    assert verdicts == ["duplicate", "crystal", "duplicate", *2 * ("duplicate", "duplicate", "crystal")]
    assert result.data.grains["GrainID"].tolist() == [rows[1].seed, rows[5].seed, rows[8].seed]
    assert result.data.grains["Confidence"].tolist() == [1, 1, 1]


def test_solutions_of_other_orientations_stand_for_themselves(tmp_path: Path) -> None:
    """Two orientations that explain the same spots are told apart by how well they do, whatever was found first."""
    sample = Sample(*scattered(1))
    near = sample.solution(0, sample.spots_of(0)[0], turn=0.001, completeness=0.9)
    far = sample.solution(0, sample.spots_of(0)[1], turn=0.5, completeness=1.0)
    result = OwnedLayer(tmp_path, sample, [near, far]).run(OwnSigma="1000 3")
    assert result.data.grains["GrainID"].tolist() == [near.seed]
