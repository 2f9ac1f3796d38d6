"""The table itself: names, ranges, and what the setup hands on."""

from __future__ import annotations

from collections import Counter

import pytest

from midas.parameters.parser import DIALECTS
from midas.parameters.readers import READERS
from midas.parameters.table import GROUPS, KEYS, REQUIRED, Range, spellings

#: the keys that the legacy programs do not have, in the order in which the setup hands them on
HANDED_ON = (
    "RingsToReject RefineMethod WriteLegacyBins LegacyDigits WedgeModel TiltModel GrainMerging OwnSigma OwnWindow "
    "UniqueCompleteness MinUniqueSpots MinSignificance FamilyAngle MosaicTolerance MosaicGap MeasureSpots PullBox "
    "IndexPasses SkipExplainedSeeds SpaceGroupSetting DetectorRegion"
).split()


def test_no_name_means_two_things() -> None:
    assert len(KEYS) == sum(len(keys) for _, keys in GROUPS)
    for dialect in DIALECTS:
        names = Counter(KEYS.keys())
        for key in KEYS.values():
            names.update((*key.aliases, *key.dialect_aliases.get(dialect, ())))
        # In paramstest.txt BeamSize is the height of the beam, elsewhere the filter of the simulator; a calibration has
        # a ring a line where an analysis has pairs without effect.
        twice = {name for name, count in names.items() if count > 1}
        others = {"paramstest": {"BeamSize"}, "calibration": {"RingsToExclude"}}
        assert twice == others.get(dialect, set())
        assert set(spellings(dialect)) == set(names)


def test_defaults_are_allowed() -> None:
    for key in KEYS.values():
        if key.default is not REQUIRED and key.choices and not key.is_list:
            assert key.default in key.choices
        assert not key.or_number or key.choices


def test_stage_defaults_are_allowed() -> None:
    for reader in READERS.values():
        for name, value in reader.defaults.items():
            assert name in reader.keys and not KEYS[name].refusal(value)


def test_order_of_what_is_handed_on() -> None:
    assert [name for name, key in KEYS.items() if key.handed_on] == HANDED_ON


@pytest.mark.parametrize(
    ("limits", "text", "inside", "outside", "reason"),
    [
        (Range(0, open=True), "> 0", 1e-9, 0, "must be greater than 0"),
        (Range(0), "≥ 0", 0, -1, "must not be negative"),
        (Range(1), "≥ 1", 1, 0.5, "must be at least 1"),
        (Range(1, 230), "1 … 230", 230, 231, "must lie in 1 ... 230"),
        (Range(0, 20, open=True), "> 0, ≤ 20", 20, 0, "must be greater than 0 and at most 20"),
    ],
)
def test_ranges(limits: Range, text: str, inside: float, outside: float, reason: str) -> None:
    assert str(limits) == text and limits.limits and not Range().limits
    assert limits.refusal(inside) == ""
    assert limits.refusal(outside) == reason
    assert limits.refusal(float("nan"))
