"""Keys that nothing reads yet: who asks for something that does not happen is told so, once."""

from __future__ import annotations

import pytest

from midas.parameters import Parameters
from midas.parameters.table import KEYS
from midas.runtime import logs


def test_what_this_version_does_not_do_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Parameters.parse("px 1\nRefineTransform 1\nDataset 2\n", "ps.txt")
    assert caplog.messages == [
        "ps.txt, line 2: RefineTransform 1 has no effect yet: this version analyses one dataset at a time",
        "ps.txt, line 3: Dataset 2 has no effect yet: this version analyses one dataset at a time",
    ]


def test_once_a_run(caplog: pytest.LogCaptureFixture) -> None:
    """The same value stands in the user's file and in paramstest.txt."""
    with logs.one_run():
        Parameters.parse("RefineTransform 1\n", "ps.txt")
        Parameters.parse("RefineTransform 1\n", "paramstest.txt", "paramstest")
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("ps.txt, line 1: RefineTransform 1 ")
    Parameters.parse("RefineTransform 1\n", "other.txt")
    assert len(caplog.messages) == 2 and caplog.messages[1].startswith("other.txt, line 1: RefineTransform 1 ")


def test_what_this_version_does_anyway_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    text = "RefineTransform 0\nLegacyDigits 0\nPeakWeights uniform\nDetectorRegion 0\n"
    Parameters.parse(text)
    assert not caplog.records


def test_every_key_of_the_list(caplog: pytest.LogCaptureFixture) -> None:
    """Each says what holds in its place, and the value that asks for it is allowed."""
    waiting = [key for key in KEYS.values() if key.not_yet]
    assert {"RefineTransform", "Dataset"} <= {key.name for key in waiting}
    for key in waiting:
        acts_as = key.default if key.acts_as is None else key.acts_as
        assert not key.ignored(acts_as)
        assert not key.refusal(acts_as) or acts_as is None
        assert not key.not_yet.endswith(".")
