"""What the stages after the peak search need to know of the scan: its length and the size of its frames."""

from __future__ import annotations

from dataclasses import dataclass

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import StageError


@dataclass(frozen=True)
class Scan:
    """The analysed part of a scan.

    Parameters
    ----------
    frames : their number, without the skipped ones at the beginning
    shape : rows and columns of a frame
    """

    frames: int
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """Side of the detector, padded to a square, px."""
        return max(self.shape)

    @classmethod
    def of(cls, layer: Layer, parameters: Parameters) -> Scan:
        """The scan in the layer's archive."""
        if layer.archive is None:
            raise StageError("has no archive, which says how many frames the scan has", file=layer.folder)
        with Archive(layer.archive) as archive:
            total, rows, columns = archive.frames.shape
        frames = total - parameters["SkipFrame"]
        if not 0 < frames <= total:
            raise parameters.error("SkipFrame", f"does not fit a scan of {total} frames")
        return cls(frames, (rows, columns))
