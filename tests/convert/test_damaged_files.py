"""Raw files with damage at any place: frames, or one line about the file; no other exception, nothing left behind."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.runtime.errors import MidasError

from .raw_files import BASE, cbf, edf, ge, pixels, tiff

FRAMES = pixels(dtype="i4")
SIZES = f"{BASE}\nNrPixelsY 10\nNrPixelsZ 12\nRawPixelType i4\nHeadSize 64\n"

FILES: dict[str, Callable[[Path], Path]] = {
    "a.ge3": lambda path: ge(path, FRAMES, 64),
    "a.ge3.bz2": lambda path: ge(path, FRAMES, 64),
    "a.ge3.zst": lambda path: ge(path, FRAMES, 64),
    "a.tif": lambda path: tiff(path, FRAMES),
    "a.tif.gz": lambda path: tiff(path, FRAMES, compression="zlib"),
    "a.cbf": lambda path: cbf(path, FRAMES[0], "Start_angle 3.0 deg."),
    "a.edf": lambda path: edf(path, FRAMES, [{"motor_mne": "diffrz", "motor_pos": str(i)} for i in range(4)]),
    "a.edf.gz": lambda path: edf(path, FRAMES),
}


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Cut, with bytes left out or put in, or with other bytes, mostly in the headers at the beginning."""
    changed = bytearray(content)
    place = int(random.integers(len(content)))
    match int(random.integers(5)):
        case 0:
            del changed[place:]
        case 1:
            del changed[place : place + int(random.integers(1, 200))]
        case 2:
            changed[place:place] = random.bytes(int(random.integers(1, 40)))
        case _:
            end = len(changed) if random.random() < 0.4 else min(len(changed), 1200)
            for where in random.integers(end, size=int(random.choice([1, 2, 5, 20]))):
                changed[int(where)] = int(random.choice([0, 255, ord("9"), ord("-"), int(random.integers(256))]))
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_damage_is_frames_or_one_line(convert, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = FILES[name](tmp_path / name)
    content = path.read_bytes()
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(50):
        path.write_bytes(damaged(content, random))
        try:
            convert(SIZES, data_file=str(path)).close()
        except MidasError as error:
            refused += 1
            assert "\n" not in str(error) and name in str(error)
    gc.collect()
    assert refused > 5 or name == "a.ge3"
    left = [file.name for file in (tmp_path / "out").glob("*") if file.name != "midas_log"]
    assert all(name.endswith((".MIDAS.zip", ".MIDAS.zip.old")) for name in left)
    libraries = [record for record in caplog.records if not record.name.startswith("midas")]
    assert not [record for record in libraries if record.levelno >= logging.WARNING]
