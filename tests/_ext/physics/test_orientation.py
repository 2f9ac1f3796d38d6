"""Misorientations: shapes; their values are tested with `midas.experiment.orientation`."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.physics.orientation import misorientations

ONE = np.array([[1.0, 0.0, 0.0, 0.0]])


def test_no_rotation() -> None:
    assert misorientations(ONE, ONE, ONE).tolist() == [0.0]
    assert misorientations(ONE[:0], ONE[:0], ONE).shape == (0,)


@pytest.mark.parametrize("shapes", [((1, 3), (1, 4), (1, 4)), ((1, 4), (2, 4), (1, 4)), ((1, 4), (1, 4), (0, 4))])
def test_shapes_are_checked(shapes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="quaternions"):
        misorientations(*(np.ones(shape) for shape in shapes))
