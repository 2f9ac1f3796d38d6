"""Peak search: ``PeaksFittingOMPZarrRefactor`` (docs/theory/peaks.md)."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions, concatenate_regions
from midas._ext.peaks.mask import ring_thresholds
from midas._ext.peaks.regions import FrameScanner
from midas._ext.peaks.result import FITTED_PEAK
from midas.archive import Archive, FrameStack, Pixel
from midas.experiment.detector import DetectorGeometry
from midas.experiment.panels import panels_of
from midas.experiment.rings import warn_of_absent
from midas.formats import hkls as hkls_format
from midas.formats.layer import Layer
from midas.formats.peaks import LAYOUT, PixelLists, format_pixels
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import PEAKS
from midas.runtime import progress
from midas.runtime.errors import ArchiveError, ParameterError, exiting_with
from midas.runtime.files import write_atomic
from midas.runtime.limits import LARGEST_SIDE
from midas.runtime.named_paths import make_subfolder, places_of
from midas.runtime.parallel import SERIAL, Communicator, ordered_map, pool
from midas.runtime.ragged import entries_of, offsets_of
from midas.runtime.result import StageResult
from midas.runtime.room import need_disk, need_memory
from midas.stages.crowding import Crowding, first_looks
from midas.stages.digits import digits
from midas.stages.division import Division, restore_sizes
from midas.stages.kept_frames import kept_frames, remove_others
from midas.stages.peak_centres import straighten_profiles
from midas.stages.peak_selection import PIXEL_TYPES, Selection, select
from midas.stages.significance import significant

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: the peaks of a frame, and their pixels (None: they are in the file)
FramePeaks: TypeAlias = tuple[Table, PixelLists | None]

# The codes that scripts know from the legacy program.
EXIT_NO_ARCHIVE = 3
EXIT_NO_FOLDER = 4
EXIT_NO_FRAMES = 5
EXIT_NO_CORRECTION = 6

#: frames per thread that are scanned, fitted and written together; memory grows with it
BATCH = 16


@recorded(PEAKS)
@digits("peaks")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    hkls: Table | None = None,
    fit: int | None = None,
    force: bool = False,
    keep_pixels: bool = True,
    resume: bool = False,
) -> StageResult[list[FramePeaks]]:
    """Find and fit the peaks of every frame; write ``Temp/*_PS.csv`` and ``Temp/*_PX.bin``.

    Parameters
    ----------
    hkls : ring radii; None = read ``hkls.csv`` (not needed with ``DoFullImage 1``)
    fit : replaces ``doPeakFit``
    force : go on when the frames are crowded
    keep_pixels : hand the pixels of the peaks on; without them, which take most of the memory, there is None for each
    resume : keep the frames that a run like this one has searched before it was stopped

    Returns
    -------
    StageResult whose data is the list of (`Table`, `PixelLists`) of this member's frames, in order
    """
    start = time.perf_counter()
    settings = parameters.for_stage("peaks")
    if fit is not None:
        settings = settings.changed(doPeakFit=fit)
    if layer.archive is None:
        raise ValueError("the peak search needs an archive")
    with exiting_with(EXIT_NO_ARCHIVE, ArchiveError):
        archive = Archive(layer.archive)
    with archive:
        frames = _frames(archive)
        count = _frame_count(layer, frames, settings)
        own = _with_room(comm.rows(count), layer, frames, threads)
        log.info("nFrames: %d, nrPixelsZ: %d, nrPixelsY: %d", *frames.shape)
        # Nobody keeps the thresholds, which are as large as several frames.
        search = _Search(
            layer, archive, settings, _thresholds(layer, settings, max(frames.shape[1:]), hkls, threads),
            threads, own, force,
        )  # fmt: skip
        kept = kept_frames(layer, own) if resume else {}
        _prepare_folder(layer, own, set(kept), count, comm)
        data = _search_all(layer, search, count, kept, keep_pixels)
    seconds = time.perf_counter() - start
    log.info("Finished, time elapsed: %f seconds, nrFramesDone: %d.", seconds, len(own))
    return StageResult("peaks", {"frames": len(own), "peaks": sum(len(table) for table, _ in data)}, data)


def _search_all(
    layer: Layer, search: _Search, count: int, kept: dict[int, tuple[Table, PixelLists]], keep_pixels: bool
) -> list[FramePeaks]:
    """Search and write this member's frames but those that are kept, batch by batch; all of them, in order."""
    if not kept:
        search.look(count)
    log.info("Processing frames %d to %d", search.own.start, search.own.stop - 1)
    found: dict[int, FramePeaks] = {n: (table, pixels if keep_pixels else None) for n, (table, pixels) in kept.items()}
    left = [frame for frame in search.own if frame not in kept]
    with progress.bar(len(left), "Peak search") as advance:
        for batch, results in search.results(left):
            for frame, result in zip(batch, results, strict=True):
                table, pixels = _write(layer, frame, *result)
                found[frame] = table, pixels if keep_pixels else None
            advance(len(batch))
    search.crowding.warn(search.own)
    search.division.warn(search.own)
    return [found[frame] for frame in search.own]


def _frames(archive: Archive) -> FrameStack:
    with exiting_with(EXIT_NO_FRAMES):
        frames = archive.frames
        if frames.dtype not in PIXEL_TYPES:
            reason = f"has pixels of type {frames.dtype}; the peak search reads {', '.join(map(str, PIXEL_TYPES))}"
            raise ArchiveError(reason, file=archive.path, key="exchange/data")
        if not 0 < max(frames.shape[1:]) <= LARGEST_SIDE:
            reason = f"has frames of {frames.shape[1:]} pixels; the largest side is {LARGEST_SIDE}"
            raise ArchiveError(reason, file=archive.path, key="exchange/data")
    return frames


def _frame_count(layer: Layer, frames: FrameStack, settings: Parameters) -> int:
    """Frames without the leading dark ones."""
    count: int = len(frames) - settings["SkipFrame"]
    if not 0 < count <= len(frames):
        reason = f"must leave at least one of the {len(frames)} frames"
        raise ParameterError(reason, file=layer.archive, key="SkipFrame", value=settings["SkipFrame"])
    return count


def _with_room(own: range, layer: Layer, frames: FrameStack, threads: int) -> range:
    """This member's frames, once it is certain that their files and the images of the threads may have room."""
    _, rows, columns = frames.shape
    if not layer.temp.exists():  # else there are old files, which make room
        need_disk(layer.temp, len(own) * (len(LAYOUT.header) + 1), "the peak search", files=2 * len(own))
    images = threads * rows * columns * frames.dtype.itemsize + 8 * max(rows, columns) ** 2
    need_memory(images, f"the peak search on {threads} threads", "give a smaller -nCPUs")
    return own


def _thresholds(layer: Layer, settings: Parameters, size: int, hkls: Table | None, threads: int) -> NDArray[np.float64]:
    """Threshold of each pixel, (N, N) and indexed [y, z]; 0 outside the rings."""
    rings = settings.rings()
    if min(threshold for _, threshold in rings) < 0:
        raise settings.error("RingThresh", "a threshold must not be negative")
    if settings["DoFullImage"]:
        return np.full((size, size), float(rings[0][1]))
    if hkls is None:
        hkls = hkls_format.LAYOUT.read(layer.hkls)
    px = settings["px"]
    radii = dict(zip(hkls.integers("ring").tolist(), (hkls["ring_radius"] / px).tolist(), strict=True))
    known = [(radii[ring], threshold) for ring, threshold in rings if ring in radii]
    missing = [ring for ring, _ in rings if ring not in radii]
    warn_of_absent(missing)
    if not known:
        raise settings.error("RingThresh", f"none of these rings is in {layer.hkls}")
    detector = DetectorGeometry.from_parameters(settings, beam=False)
    known_radii, lowest = np.array(known).T.copy()
    return ring_thresholds(size, detector.packed(), known_radii, lowest, settings.positive("Width") / px, threads)


def _prepare_folder(layer: Layer, own: range, kept: set[int], count: int, comm: Communicator) -> None:
    """The folder, without this member's files of an earlier run but those that are kept."""
    with exiting_with(EXIT_NO_FOLDER):
        make_subfolder(layer.temp)
        remove_others(layer, own, kept, count, comm)


def _write(layer: Layer, frame: int, table: Table, exact: Table, pixels: PixelLists) -> tuple[Table, PixelLists]:
    """Write the two files of a frame; what reading them would give."""
    write_atomic(layer.peaks(frame + 1), LAYOUT.format(exact))
    write_atomic(layer.peak_pixels(frame + 1), format_pixels(pixels))
    return table, pixels


class _Search:
    """Scans frames on several threads, one batch ahead of the fits, so that decoding and fitting overlap."""

    def __init__(
        self,
        layer: Layer,
        archive: Archive,
        settings: Parameters,
        thresholds: NDArray[np.float64],
        threads: int,
        own: range,
        force: bool,
    ):
        self.own = own
        self.frames = archive.frames
        self.omegas = archive.omegas
        self.skip: int = settings["SkipFrame"]
        self.threads = threads
        self.size = len(thresholds)
        self.centre: tuple[float, float] = settings["BC"]
        self.straight = settings["PeakCentre"] == "detector"
        self.panels = panels_of(settings, *places_of(layer.folder))
        self.method = settings["PeakFitMethod"] if settings["doPeakFit"] else "centroid"
        self.significance: float = settings["MinPeakSignificance"]
        self.poisson: bool = settings["PeakWeights"] == "poisson"
        if len(self.panels):
            log.info("%d panels", len(self.panels))
        blanks = [settings[key] for key in ("BadPxIntensity", "GapIntensity") if key in settings]
        current = settings["ReferenceRingCurrent"]
        with exiting_with(EXIT_NO_CORRECTION, ArchiveError):
            selection = select(
                archive, thresholds, settings["ImTransOpt"], skip=self.skip, current=current, blanks=blanks
            )
        log.info("%d of %d pixels are on rings; method %s", len(selection.limits), thresholds.size, self.method)
        self.crowding = Crowding(settings, selection, force)
        self.division = Division(settings, len(selection.limits))
        self.looked_at: dict[int, Regions] = {}
        # One scanner and one frame buffer per thread; a thread takes any that is idle.
        self.idle: queue.SimpleQueue[tuple[FrameScanner, NDArray[Pixel]]] = queue.SimpleQueue()
        for _ in range(threads):
            buffer = np.empty(self.frames.shape[1:], self.frames.dtype)
            self.idle.put((_scanner(selection, settings, current, blanks), buffer))

    def look(self, count: int) -> None:
        """Look whether the frames of the scan are crowded before all of them are searched; keep what is found."""

        def look(frame: int) -> tuple[int, Regions]:
            return frame, self._scan(frame)

        def kept() -> Iterator[tuple[int, Regions]]:
            for frame, regions in ordered_map(look, first_looks(count), self.threads):
                if frame in self.own:
                    self.looked_at[frame] = regions
                yield frame, regions

        self.crowding.check(kept(), lambda frame: self.frames[frame + self.skip])

    def results(self, wanted: list[int]) -> Iterator[tuple[list[int], list[tuple[Table, Table, PixelLists]]]]:
        """Batches of frames with the rounded table, the exact table and the pixels of each."""
        for batch, frames in self._scanned(wanted):
            for frame, regions in zip(batch, frames, strict=True):
                self.crowding.look(frame, regions)
            regions = concatenate_regions(frames)
            solved = solve_regions(
                regions, *self.centre, self.panels,
                method=self.method, poisson=self.poisson, threads=self.threads,
            )  # fmt: skip
            restore_sizes(solved, regions)
            if self.straight:
                straighten_profiles(solved, *self.centre)
            yield batch, self._by_frame(batch, frames, solved)

    def _scanned(self, wanted: list[int]) -> Iterator[tuple[list[int], list[Regions]]]:
        length = BATCH * self.threads
        batches = [wanted[i : i + length] for i in range(0, len(wanted), length)]
        if self.threads == 1:
            for batch in batches:
                yield batch, [self._scan(frame) for frame in batch]
            return
        with pool(self.threads) as workers:
            try:
                pending = [workers.submit(self._scan, frame) for batch in batches[:1] for frame in batch]
                for number, batch in enumerate(batches):
                    following = [
                        workers.submit(self._scan, frame) for b in batches[number + 1 : number + 2] for frame in b
                    ]
                    yield batch, [future.result() for future in pending]
                    pending = following
            finally:
                workers.shutdown(wait=True, cancel_futures=True)

    def _scan(self, frame: int) -> Regions:
        if frame in self.looked_at:
            return self.looked_at.pop(frame)
        start = time.perf_counter()
        scanner, buffer = self.idle.get()
        try:
            self.frames.read_into(frame + self.skip, buffer)
            regions = significant(scanner.scan(buffer.reshape(-1)), self.significance)
        finally:
            self.idle.put((scanner, buffer))
        if frame in self.own:
            log.info(
                "FrameNr: %d, NrOfRegions: %d, Filtered regions: %d, Number of peaks: %d, Total time: %f",
                frame, regions.components, regions.in_window, len(regions.maxima), time.perf_counter() - start,
            )  # fmt: skip
        return self.division.of(frame, regions, self.crowding.is_crowded(regions))

    def _by_frame(
        self, batch: list[int], frames: Sequence[Regions], solved: NDArray[np.void]
    ) -> list[tuple[Table, Table, PixelLists]]:
        """Tables and pixel lists of each frame from the peaks of all of them."""
        counts = [len(f.thresholds if self.method == "centroid" else f.maxima) for f in frames]
        columns: dict[str, NDArray[np.float64]] = {name: solved[name] for name in FITTED_PEAK.names or ()}
        columns["peak_id"] = np.concatenate([np.arange(1.0, n + 1) for n in counts])
        columns["omega_recorded"] = np.repeat([self.omegas[frame + self.skip] for frame in batch], counts)
        exact = Table.from_columns(LAYOUT.names, columns)
        table = LAYOUT.rounded(exact)
        ends = np.cumsum([0, *counts])
        rows = [slice(start, end) for start, end in zip(ends[:-1], ends[1:], strict=True)]
        return [
            (table.take(r), exact.take(r), self._pixel_lists(regions)) for r, regions in zip(rows, frames, strict=True)
        ]

    def _pixel_lists(self, regions: Regions) -> PixelLists:
        """One list per peak: those of a region repeat the region's."""
        lengths = np.diff(regions.offsets)
        repeats = np.ones(len(lengths), int) if self.method == "centroid" else np.diff(regions.maxima_offsets)
        if (repeats == 1).all():
            return PixelLists(self.size, regions.offsets, regions.y, regions.z)
        region_of_peak = np.repeat(np.arange(len(lengths)), repeats)
        lengths = lengths[region_of_peak]
        offsets, pixels = offsets_of(lengths), entries_of(regions.offsets[:-1][region_of_peak], lengths)
        return PixelLists(self.size, offsets, regions.y[pixels], regions.z[pixels])


def _scanner(selection: Selection, settings: Parameters, current: float, blanks: Sequence[float]) -> FrameScanner:
    return FrameScanner(
        selection,
        blanks,
        current=current,
        saturation=settings["UpperBoundThreshold"],
        legacy=settings.legacy_digits,
        min_pixels=settings["MinNrPx"],
        max_pixels=settings["MaxNrPx"],
        max_peaks=settings["MaxNPeaks"],
    )
