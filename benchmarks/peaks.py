"""Peak search: the whole stage against the mere decoding of its frames, and the fits by themselves.

    python benchmarks/peaks.py [ARCHIVE HKLS] [--frames N] [--regions N] [--threads N]

Without an archive, on the simulated scan of three gold grains (1440 frames of 2048 x 2048), 2 threads.

The limit: a sparse scan may take at most 1.6 times as long as numcodecs needs to decode its frames on the same threads.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from calibration import calibrate, report
from numcodecs.blosc import Blosc
from spot_sets import gold_archive

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions
from midas.archive import Archive
from midas.formats.layer import Layer
from midas.stages import peaks


def both_seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def decode_all(path: Path, threads: int) -> None:
    """Every frame of an archive through numcodecs, as fast as plain Python gets."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.startswith("exchange/data/") and n[-1].isdigit()]
        chunks = [archive.read(name) for name in names]
    codec = Blosc()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda chunk: len(codec.decode(chunk)), chunks):
            pass


def crowded_regions(count: int, peaks_per_region: int) -> Regions:
    """Regions of overlapping Gaussian spots on a slope of noise."""
    random = np.random.default_rng(1)
    side = 24
    y, z = (g.ravel() for g in np.mgrid[:side, :side])
    counts, maxima = [], []
    for _ in range(count):
        centres = random.uniform(4, side - 4, (peaks_per_region, 2))
        image = sum(500 * np.exp(-0.5 * ((y - a) ** 2 + (z - b) ** 2) / 2.0) for a, b in centres)
        counts.append(image + random.uniform(10, 20, side * side))
        maxima.append((np.rint(centres) @ [side, 1]).astype(np.int32))
    n = side * side
    repeat = np.ones((count, 1), int)
    return Regions(
        count, count, (repeat * (y + 1400)).ravel().astype(np.int16), (repeat * (z + 1800)).ravel().astype(np.int16),
        np.concatenate(counts), np.arange(count + 1) * n, np.full(count, 10.0), np.concatenate(maxima),
        np.arange(count + 1) * peaks_per_region,
    )  # fmt: skip


def measure(archive: Path, hkls: Path, threads: int, regions: int) -> None:
    calibration = calibrate()
    with Archive(archive) as opened:
        parameters = opened.parameters
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(hkls, folder)
        layer = Layer(Path(folder), archive.absolute())
        # Alternating, and the best of three, because the machine may be shared.
        pairs = [
            (
                both_seconds(lambda: decode_all(archive, threads)),
                both_seconds(lambda: peaks.run(layer, parameters, threads=threads)),
            )
            for _ in range(3)
        ]
    decode, search = (np.min([pair[i] for pair in pairs], axis=0) for i in (0, 1))
    report("decoding alone, wall", decode[0], "s", calibration)
    report("peak search, wall", search[0], "s", calibration)
    report("peak search / decoding, wall", search[0] / decode[0], "", limit="<= 1.6")
    report("peak search / decoding, CPU", search[1] / decode[1], "", limit="<= 1.6")
    for size, part in ((1, 1.0), (3, 0.4), (8, 0.08)):
        number = max(1, round(part * regions))
        crowd = crowded_regions(number, size)
        for method in ("nm", "lm"):
            _, cpu = both_seconds(lambda: solve_regions(crowd, 1022.0, 1022.0, np.empty((0, 8)), method=method))  # noqa: B023
            report(f"{method}, {size} peaks on 576 px, per region", 1e3 * cpu / number, "ms", 1e3 * calibration)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="*", type=Path, metavar="ARCHIVE HKLS")
    options.add_argument("--frames", type=int, default=1440, help="of the simulated scan")
    options.add_argument("--regions", type=int, default=100, help="of one peak; fewer of three and of eight")
    options.add_argument("--threads", type=int, default=2)
    values = options.parse_args()
    if len(values.files) not in (0, 2):
        options.error("an archive and its hkls.csv, or neither")
    with tempfile.TemporaryDirectory() as scratch:
        archive, hkls = values.files or (gold_archive(Path(scratch), values.frames)[1], Path(scratch) / "hkls.csv")
        measure(archive, hkls, values.threads, values.regions)


if __name__ == "__main__":
    main()
