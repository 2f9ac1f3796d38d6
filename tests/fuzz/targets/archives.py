"""The ``.MIDAS.zip``: opening, listing, every small array, the parameters, angles and frames."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from midas.archive import DARK, DATA, MASK, Archive, ArchiveWriter
from midas.parameters import ANALYSIS, SCAN, Parameters

from ..harness import Target
from ..mutations import BYTES, document, flipped, integer, mixed
from ..structures import zip_field, zip_large, zip_member, zip_members, zipped

TEXT = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 2.5 3
px 200
RhoD 204800
OmegaStart 10
OmegaStep -0.25
RingThresh 1 80
ImTransOpt 1
OmegaRange -180 180
BoxSize -1000 1000 -1000 1000
ResultFolder /data/a folder/
"""


def corpus() -> Mapping[str, bytes]:
    frames = np.random.default_rng(7).integers(0, 60, (3, 6, 7)).astype("<u2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.MIDAS.zip")
        with ArchiveWriter(path, frames.shape, frames.dtype) as writer:
            writer.add_frames(DARK, (1, 6, 7), frames[:1])
            writer.add_frames(DATA, frames.shape, frames)
            writer.add_dataset(MASK, np.zeros((1, 6, 7), "u2"))
            writer.add_dataset(f"{SCAN}omegaCenter", np.arange(3.0))
            writer.add_parameters(Parameters.parse(TEXT, "ps.txt"))
        written = path.read_bytes()
    few = [m for m in zip_members(written) if m[0].startswith((f"{DATA}/", f"{ANALYSIS}Lsd"))]
    return {"whole": written, "few members": zipped(few), "deflated": zipped(few, deflated=True)}


def run(data: bytes, folder: Path) -> None:
    path = folder / "scan.MIDAS.zip"
    path.write_bytes(data)
    with Archive(path) as archive:
        for name in archive.datasets():
            stored = archive.dataset(name)
            if stored is not None and not name.startswith("exchange/"):
                stored.read()
        archive.parameters.for_stage("commands")
        for stack in (archive.frames, archive.dark, archive.mask, archive.flood):
            for frame in range(min(3, len(stack or ()))):
                assert stack is not None
                stack[frame]
        archive.omegas  # noqa: B018


_MEMBERS = {".zarray": document, ".zgroup": document, "": lambda d, r: r.choice((integer, flipped))(d, r)}
_STEPS = (*BYTES, (12, zip_member(_MEMBERS)), (4, zip_field), (3, zip_large))
TARGETS = (Target("archives", run, corpus, mixed(_STEPS)),)
