"""From simulated spots to detector frames: intensity, noise, the archive (docs/theory/simulation.md#counts)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray
from scipy.special import ndtr, pdtr

from midas._ext.numerics.elementwise import hypot
from midas._ext.simulate.images import brightest_pixel, clear_spots, count_spots, draw_spots
from midas._ext.simulate.noise import draw_counts
from midas.archive import DARK, DATA, ArchiveWriter
from midas.formats.table import Table
from midas.runtime.parallel import ordered_map
from midas.runtime.progress import bar
from midas.runtime.ragged import entries_of

if TYPE_CHECKING:
    from midas.parameters import Parameters

_FULL = 65535


@dataclass(frozen=True)
class Exposure:
    """How spots become counts.

    Parameters
    ----------
    shape : frames, rows, columns
    omega_start, omega_step : degrees
    sigma : of a spot, px
    integrate : mean of the Gaussian over each pixel instead of its value at the centre
    omega_spread : sigma of a spot in omega, degrees; 0: everything in one frame
    scale_max : counts of the brightest pixel; 0: no scaling
    background, dark_level : counts added to every pixel
    noise : "", "poisson" or "gauss", the latter with `noise_sigma` counts
    dark_noise : sigma of the dark, counts
    dark_frames : frames without signal to write beside the others
    seed : of the random numbers; every frame has its own stream
    """

    shape: tuple[int, int, int]
    omega_start: float
    omega_step: float
    sigma: float = 1.0
    integrate: bool = False
    omega_spread: float = 0.0
    scale_max: float = 15000.0
    background: float = 0.0
    noise: str = ""
    noise_sigma: float = 0.0
    dark_level: float = 0.0
    dark_noise: float = 0.0
    dark_frames: int = 0
    seed: int = 0

    @classmethod
    def of(cls, parameters: Parameters, shape: tuple[int, int, int]) -> Exposure:
        """The exposure that a parameter file describes."""
        words = str(parameters["Noise"]).split()
        noise, sigma = (words[0].lower() if words else ""), 0.0
        try:
            sigma = float(words[1]) if noise == "gauss" else 0.0
        except (IndexError, ValueError):
            noise = "?"
        if noise not in ("", "poisson", "gauss") or sigma < 0:
            raise parameters.error("Noise", "must be 'poisson', or 'gauss' and its sigma in counts")
        return cls(
            shape,
            parameters["OmegaStart"],
            parameters["OmegaStep"],
            sigma=parameters["GaussWidth"],
            integrate=parameters["PixelIntegration"] == 1,
            omega_spread=parameters["OmegaSpread"],
            scale_max=parameters["ScaleMax"],
            background=parameters["Background"],
            noise=noise,
            noise_sigma=sigma,
            dark_level=parameters["DarkLevel"],
            dark_noise=parameters["DarkNoise"],
            dark_frames=parameters["DarkFrames"],
            seed=parameters["RandomSeed"],
        )

    @property
    def is_random(self) -> bool:
        return bool(self.noise) or self.dark_noise > 0


@dataclass(frozen=True)
class Contributions:
    """Which spot leaves how much on which frame; sorted by frame, then by spot.

    Parameters
    ----------
    offsets : (frames + 1,) int64, frame f holds the contributions ``offsets[f] : offsets[f + 1]``
    spot : (k,) row of the spot table
    amplitude : (k,) float32
    hor, vert : (k,) px
    """

    offsets: NDArray[np.int64]
    spot: NDArray[np.int64]
    amplitude: NDArray[np.float32]
    hor: NDArray[np.float64]
    vert: NDArray[np.float64]

    @property
    def frame(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @classmethod
    def of(cls, spots: Table, amplitude: NDArray[np.float32], exposure: Exposure) -> Contributions:
        """Distribute spots over frames; `amplitude` holds one float32 per row of `spots`."""
        frames = exposure.shape[0]
        spot = np.flatnonzero(amplitude > 0)
        frame = spots.integers("omeBin")[spot]
        share = np.ones(len(spot))
        if exposure.omega_spread > 0:
            spot, frame, share = _spread(spot, spots["Omega"], exposure)
        order = np.argsort(frame, kind="stable")
        spot = spot[order]
        offsets = np.searchsorted(frame[order], np.arange(frames + 1)).astype(np.int64)
        strength = (amplitude[spot] * share[order]).astype(np.float32)
        return cls(offsets, spot, strength, spots["DetectorHor"][spot], spots["DetectorVert"][spot])


def _spread(
    spot: NDArray[np.int64], omega: NDArray[np.float64], exposure: Exposure
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Spot, frame and share of the intensity of every frame within four sigma of a spot."""
    frames, sigma = exposure.shape[0], exposure.omega_spread
    centre = (omega[spot] - exposure.omega_start) / exposure.omega_step
    reach = 4 * sigma / abs(exposure.omega_step)
    first = np.clip(np.floor(centre - reach), 0, frames - 1).astype(np.int64)
    last = np.clip(np.floor(centre + reach), 0, frames - 1).astype(np.int64)
    count = last - first + 1
    index = np.repeat(np.arange(len(spot)), count)
    frame = entries_of(first, count)
    # In units of the step, so that both signs of it mean the same.
    width = sigma / abs(exposure.omega_step)
    share = ndtr((frame + 1 - centre[index]) / width) - ndtr((frame - centre[index]) / width)
    return spot[index], frame, share


@dataclass(frozen=True)
class CountTable:
    """The distribution of a pixel's counts: cumulative[i] = P(counts <= first + i)."""

    cumulative: NDArray[np.float64]
    first: int

    @classmethod
    def of(cls, poisson_mean: float, normal_mean: float, sigma: float) -> CountTable:
        """A Poisson variable plus a normal one that is rounded to whole counts, within what a detector stores."""
        low, high = (int(poisson_mean + sign * 12 * np.sqrt(poisson_mean)) for sign in (-1, 1))
        values = np.arange(max(low, 0), high + 40 if poisson_mean > 0 else 1)
        poisson = np.diff(pdtr(values, poisson_mean), prepend=pdtr(low - 1, poisson_mean) if low > 0 else 0.0)
        start = int(np.floor(normal_mean + 0.5 - 9 * sigma))
        edges = np.arange(start, np.floor(normal_mean + 0.5 + 9 * sigma) + 2) - 0.5 - normal_mean
        normal = np.diff(ndtr(edges / sigma)) if sigma > 0 else np.ones(1)
        probability = np.convolve(poisson, normal)
        values = np.clip(values[0] + start + np.arange(len(probability)), 0, _FULL)
        first = int(values[0])
        cumulative = np.cumsum(np.bincount(values - first, probability))
        cumulative[-1] = 1.0
        return cls(np.minimum(cumulative, 1.0), first)

    def draw(self, random: Generator, shape: tuple[int, ...]) -> NDArray[np.uint16]:
        """Independent counts."""
        counts = np.empty(shape, np.uint16)
        draw_counts(random.bit_generator, self.cumulative, self.first, counts.ravel())
        return counts


class Renderer:
    """Draws the frames of one scan; `threads` of them at a time, the same bytes for any number of threads."""

    def __init__(self, exposure: Exposure, contributions: Contributions, threads: int):
        self.exposure, self.spots, self.threads = exposure, contributions, threads
        # A canvas costs memory only where something is drawn on it; between frames it is zero.
        self._canvases = np.zeros((threads, *exposure.shape[1:]), np.float32)
        self._free = list(range(threads))
        self._lock = threading.Lock()

    @cached_property
    def brightest(self) -> float:
        """Largest value of the scan before scaling."""
        spots, exposure = self.spots, self.exposure
        return brightest_pixel(
            *(spots.offsets, spots.hor, spots.vert, spots.amplitude),
            *(exposure.sigma, exposure.integrate, self._canvases),
        )

    @property
    def scale(self) -> tuple[float, float]:
        """Counts are canvas · first / second, in this order."""
        if self.exposure.scale_max == 0 or self.brightest == 0:
            return 1.0, 1.0
        return self.exposure.scale_max, self.brightest

    def frame(self, number: int) -> NDArray[np.uint16]:
        """Counts of a frame."""
        with self._lock:
            slot = self._free.pop()
        try:
            return self._counts(number, self._canvases[slot])
        finally:
            with self._lock:
                self._free.append(slot)

    def dark_frame(self, number: int) -> NDArray[np.uint16]:
        """A frame of the shutter-closed detector."""
        exposure = self.exposure
        table = CountTable.of(0.0, exposure.dark_level, exposure.dark_noise)
        return table.draw(self._random(exposure.shape[0] + number), exposure.shape[1:])

    def write(self, path: Path, parameters: Parameters | None) -> None:
        """Write the archive: bare frames, or with `parameters` everything that the pipeline needs."""
        exposure = self.exposure
        with (
            ArchiveWriter(path, exposure.shape, np.uint16, threads=self.threads, bare=parameters is None) as writer,
            bar(exposure.shape[0], "Simulation", "frame") as advance,
        ):
            if exposure.dark_frames:
                darks = map(self.dark_frame, range(exposure.dark_frames))
                writer.add_frames(DARK, (exposure.dark_frames, *exposure.shape[1:]), darks)
            writer.add_compressed(DATA, exposure.shape, self._chunks(writer, advance))
            if parameters is not None:
                writer.add_parameters(parameters)

    def _chunks(self, writer: ArchiveWriter, advance: Callable[[int], object]) -> Iterator[tuple[bytes, int]]:
        """Compressed frames in order; all frames without spots share one unless there is noise."""
        empty = None
        if not self.exposure.is_random:
            empty = writer.compress(np.full(self.exposure.shape[1:], self._base(), np.uint16))

        def compressed(number: int) -> tuple[bytes, int]:
            if empty is not None and self.spots.offsets[number] == self.spots.offsets[number + 1]:
                return empty
            return writer.compress(self.frame(number))

        _ = self.brightest  # before the threads need it
        for chunk in ordered_map(compressed, range(self.exposure.shape[0]), self.threads):
            yield chunk
            advance(1)

    def _counts(self, number: int, canvas: NDArray[np.float32]) -> NDArray[np.uint16]:
        spots, exposure = self.spots, self.exposure
        rows = slice(spots.offsets[number], spots.offsets[number + 1])
        hor, vert = spots.hor[rows], spots.vert[rows]
        draw_spots(canvas, hor, vert, spots.amplitude[rows], exposure.sigma, exposure.integrate)
        if exposure.is_random:
            counts = self._noisy(canvas, self._random(number))
        else:
            counts = np.full(canvas.shape, self._base(), np.uint16)
            offset, nearest = exposure.background + exposure.dark_level, exposure.scale_max == 0
            count_spots(canvas, counts, hor, vert, exposure.sigma, *self.scale, offset, nearest)
        clear_spots(canvas, hor, vert, exposure.sigma)
        return counts

    def _base(self) -> int:
        """Counts of a pixel without spots and noise."""
        half = 0.5 if self.exposure.scale_max == 0 else 0.0
        return min(int(self.exposure.background + self.exposure.dark_level + half), _FULL)

    def _noisy(self, canvas: NDArray[np.float32], random: Generator) -> NDArray[np.uint16]:
        """Counts with noise: all pixels as if they had no signal, then what the spots add to theirs."""
        exposure = self.exposure
        poisson = exposure.noise == "poisson"
        counts = self._empty_pixel.draw(random, canvas.shape)
        touched = np.flatnonzero(canvas)
        multiply, divide = self.scale
        signal = canvas.ravel()[touched].astype(np.float64) * multiply / divide
        if poisson:
            # The sum of two Poisson variables is one of the sum of their means.
            values = counts.ravel()[touched] + random.poisson(signal)
        else:
            sigma = hypot(exposure.noise_sigma, exposure.dark_noise)
            mean = exposure.background + exposure.dark_level + signal
            values = mean + sigma * random.standard_normal(len(touched))
        counts.ravel()[touched] = np.clip(np.floor(values + 0.5), 0, _FULL)
        return counts

    @cached_property
    def _empty_pixel(self) -> CountTable:
        """Counts of a pixel without signal."""
        exposure = self.exposure
        if exposure.noise == "poisson":
            return CountTable.of(exposure.background, exposure.dark_level, exposure.dark_noise)
        sigma = float(hypot(exposure.noise_sigma, exposure.dark_noise))
        return CountTable.of(0.0, exposure.background + exposure.dark_level, sigma)

    def _random(self, stream: int) -> Generator:
        return Generator(PCG64(SeedSequence(self.exposure.seed, spawn_key=(stream,))))
