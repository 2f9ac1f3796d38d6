"""Chains under construction (docs/theory/merge.md#chains)."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.merge.chains import Chains


def test_chains_must_reach_the_last_frame() -> None:
    with pytest.raises(ValueError, match="frame 0 of 2"):
        Chains(np.array([0, 1, 2], np.int64)).finish()
