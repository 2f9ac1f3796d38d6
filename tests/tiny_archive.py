"""A small archive with parameters of every kind, and edits of its members."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from midas.archive import DATA
from midas.parameters import Parameters

TEXT = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 12.5 20
px 200
RhoD 204800
OmegaStart 10
OmegaStep -0.25
SkipFrame 1
RingThresh 1 80
RingThresh 2 60.5
ImTransOpt 1
ImTransOpt 2
ImTransOpt 3
OmegaRange -180 -10
OmegaRange 10 180
BoxSize -1000 1000 -1000 1000
BoxSize -1000 1000 -1000 1000
Completeness 0.8
doPeakFit 0
OverAllRingToIndex 2
ResultFolder /data/a folder/
SomethingElse 7 8
"""
PARAMETERS = Parameters.parse(TEXT, "ps.txt")


def frames_of(shape: tuple[int, ...] = (5, 24, 30), dtype: str = "<u2") -> np.ndarray:
    generator = np.random.default_rng(7)
    frames = generator.integers(0, 60, shape).astype(dtype)
    frames[1:2] = 0
    return frames


def repacked(path: Path, edit: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], method: int = 0) -> Path:
    """The same archive with other members, written by the standard library."""
    with zipfile.ZipFile(path) as source:
        members = [(info.filename, source.read(info)) for info in source.infolist()]
    target = path.with_name("repacked.zip")
    with zipfile.ZipFile(target, "w", method) as output:
        for name, content in edit(members):
            output.writestr(name, content)
    return target


def replaced(path: Path, **changes: object) -> Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]:
    """An edit that changes fields of the .zarray of the frames."""

    def edit(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return [
            (n, json.dumps({**json.loads(c), **changes}).encode() if n == f"{DATA}/.zarray" else c) for n, c in members
        ]

    return edit
