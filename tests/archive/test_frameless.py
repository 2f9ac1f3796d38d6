"""An archive without its frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.archive import DATA, MASK, Archive, ArchiveWriter, without_frames
from midas.parameters import SCAN, Parameters


def test_everything_but_the_frames(tmp_path: Path) -> None:
    source, target = tmp_path / "scan.MIDAS.zip", tmp_path / "empty.MIDAS.zip"
    frames = np.arange(5 * 8 * 6, dtype=np.uint16).reshape(5, 8, 6)
    with ArchiveWriter(source, frames.shape, frames.dtype) as writer:
        writer.add_frames("exchange/dark", (1, 8, 6), frames[:1])
        writer.add_frames(DATA, frames.shape, iter(frames))
        writer.add_frames(MASK, (1, 8, 6), [np.eye(8, 6, dtype=np.uint16)])
        writer.add_parameters(Parameters.parse("Lsd 500000\nBC 3 4\nOmegaStep 0.5\n"))
        writer.add_dataset(f"{SCAN}omegaCenter", np.arange(5.0))
    without_frames(source, target)
    with Archive(source) as full, Archive(target) as empty:
        assert empty.frames.shape == full.frames.shape
        assert empty.frames.dtype == full.frames.dtype
        assert not any(frame.any() for frame in empty.frames)
        assert empty.dark is None
        np.testing.assert_array_equal(empty.mask[0], np.eye(8, 6))
        np.testing.assert_array_equal(empty.omegas, np.arange(5.0))
        assert empty.parameters.as_given() == full.parameters.as_given()
        stored = [name for name in empty.checksums() if name.startswith(f"{DATA}/") and not name.endswith(".zarray")]
        assert len(stored) == 1
