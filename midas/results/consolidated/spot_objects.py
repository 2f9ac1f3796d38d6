"""The spots of the grains as HDF5 objects: for each grain a group with columns and a group for every spot.

Equal numbers are one dataset with several links, and so are the peaks of a spot that several grains have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas.results.hdf5 import objects
from midas.results.hdf5.objects import FLOAT64, INT64, MOST_COMPACT, UNDEFINED, Appender

#: spots whose objects are made at a time, which bounds the memory
_MOST_SPOTS = 20_000


@dataclass
class PeakTypes:
    """The committed types of records of constituent peaks.

    Parameters
    ----------
    names : of the columns of the peaks
    addresses : of the types, by the number of peaks
    used : how many datasets are of which type
    """

    names: Sequence[str]
    addresses: dict[int, int]
    used: Counter[int] = field(default_factory=Counter)

    def dtype(self, count: int) -> np.dtype[np.void]:
        """The record of a spot of `count` peaks: a field is a column."""
        return peak_record(self.names, count)


def peak_record(names: Sequence[str], count: int) -> np.dtype[np.void]:
    """The type of the peaks of one spot, which reads like a group of datasets: a field is a column."""
    whole = [("frame_nr", "<i8", (count,)), ("peak_id", "<i8", (count,))]
    return np.dtype([("n_constituent_peaks", "<i8"), *whole, *((name, "<f8", (count,)) for name in names)])


@dataclass(frozen=True)
class GrainSpots:
    """The spots of all grains, those of a grain together.

    Parameters
    ----------
    offsets : (grains + 1,) first row of each grain
    columns : name -> (n,) float64; datasets of the group of the grain
    ids : (n,) int64, spot ids
    scalars : name -> (n,) float64; datasets of the group of each spot; without them there are no such groups
    names : (n,) of the groups of the spots
    first, last : (n,) rows of the constituents of each spot; None where there is no merge map
    constituents : (m, 3) merged id, frame and peak id
    peaks : (m, 27) columns of the peak tables
    types : of the records of peaks
    """

    offsets: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    ids: NDArray[np.int64]
    scalars: Mapping[str, NDArray[np.float64]]
    names: Sequence[str]
    first: NDArray[np.int64] | None
    last: NDArray[np.int64] | None
    constituents: NDArray[np.int64]
    peaks: NDArray[np.float64]
    types: PeakTypes

    def write(self, out: Appender) -> Iterator[int]:
        """Append all objects; the address of the group ``spots`` of every grain."""
        grains, start = len(self.offsets) - 1, 0
        while start < grains:
            most = self.offsets[start] + _MOST_SPOTS
            end = max(start + 1, int(np.searchsorted(self.offsets, most, side="right")) - 1)
            yield from self._block(out, start, end)
            start = end

    def _block(self, out: Appender, start: int, end: int) -> list[int]:
        """The groups of some grains."""
        offsets = self.offsets[start : end + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        counts = np.diff(offsets)
        columns = self._vectors(out, offsets, rows)
        columns.append(out.objects(objects.scalar(INT64), value=counts))
        names = [*self.columns, "n_spots"]
        of_grains = np.stack(columns, axis=1)
        of_spots = self._spots(out, rows) if self.scalars and len(self.ids[rows]) else np.empty(0, np.uint64)
        headers = []
        for i in range(end - start):
            own = slice(int(offsets[i]), int(offsets[i + 1])) if len(of_spots) else slice(0)
            addresses = of_spots[own.start - rows.start : own.stop - rows.start] if len(of_spots) else of_spots
            headers.append(objects.group_to_link([*names, *self.names[own]], np.concatenate([of_grains[i], addresses])))
        found: list[int] = out.whole(headers).tolist()
        return found

    def _vectors(self, out: Appender, offsets: NDArray[np.int64], rows: slice) -> list[NDArray[np.uint64]]:
        """The columns of the grains."""
        lengths, found = np.diff(offsets), []
        places = 8 * (offsets[:-1] - offsets[0]).astype(np.uint64)
        for column in self.columns.values():
            address = out.write(np.asarray(column[rows], "<f8"))
            where = np.where(lengths > 0, np.uint64(address) + places, np.uint64(UNDEFINED))
            found.append(out.objects(objects.vector(FLOAT64), length=lengths, address=where, size=8 * lengths))
        return found

    def _spots(self, out: Appender, rows: slice) -> NDArray[np.uint64]:
        """The groups of some spots."""
        numbers = np.stack([column[rows] for column in self.scalars.values()], axis=1)
        links = {f"to_{name}": column for name, column in zip(self.scalars, _numbers(out, numbers).T, strict=True)}
        links["to_spot_id"] = _numbers(out, self.ids[rows])
        if self.first is not None and self.last is not None:
            links["to_constituent_peaks"] = self._peaks(out, self.first[rows], self.last[rows])
        header = objects.group([name.removeprefix("to_") for name in links])
        return out.objects(header, **links)

    def _peaks(self, out: Appender, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The constituent peaks of some spots."""
        found = np.empty(len(first), np.uint64)
        counts = last - first
        for count in np.unique(counts).tolist():
            mine = counts == count
            if count == 0:
                found[mine] = self._no_peaks(out, int(mine.sum()))
                continue
            starts, of, links = np.unique(first[mine], return_inverse=True, return_counts=True)
            addresses = self._records(out, starts, links, count)
            found[mine] = addresses[of.reshape(-1)]
        return found

    def _records(
        self, out: Appender, starts: NDArray[np.int64], links: NDArray[np.int64], count: int
    ) -> NDArray[np.uint64]:
        """Records of `count` peaks each, which begin at `starts`; so many links lead to each."""
        dtype, address = self.types.dtype(count), self.types.addresses[count]
        self.types.used[address] += len(starts)
        found = np.empty(len(starts), np.uint64)
        for shared in (False, True):
            mine = np.flatnonzero((links > 1) == shared)
            if not len(mine):
                continue
            records = self._filled(starts[mine], count, dtype)
            numbers = {"links": links[mine]} if shared else {}
            header = objects.record(address, dtype, shared=shared)
            if dtype.itemsize <= MOST_COMPACT:
                found[mine] = out.objects(header, value=records, **numbers)
            else:
                places = out.write(records.view(np.uint8)) + dtype.itemsize * np.arange(len(mine))
                found[mine] = out.objects(header, address=places, **numbers)
        return found

    def _filled(self, starts: NDArray[np.int64], count: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
        """Records with the peaks that begin at `starts`."""
        records = np.empty(len(starts), dtype)
        rows = starts[:, None] + np.arange(count)
        records["n_constituent_peaks"] = count
        records["frame_nr"], records["peak_id"] = self.constituents[rows, 1], self.constituents[rows, 2]
        peaks = self.peaks[rows]
        for k, name in enumerate(self.types.names):
            records[name] = peaks[:, :, k]
        return records

    def _no_peaks(self, out: Appender, links: int) -> int:
        """A group with empty columns: no type of HDF5 is a record of none."""
        whole, real = (
            int(out.objects(objects.vector(kind, shared=True), length=0, address=UNDEFINED, size=0, links=count)[0])
            for kind, count in ((INT64, 2), (FLOAT64, len(self.types.names)))
        )
        none = int(out.objects(objects.scalar(INT64), value=np.zeros(1, np.int64))[0])
        to = {"n_constituent_peaks": none, "frame_nr": whole, "peak_id": whole, **dict.fromkeys(self.types.names, real)}
        header = objects.group(to, shared=True)
        return int(out.objects(header, **{f"to_{name}": address for name, address in to.items()}, links=links)[0])


def _numbers(out: Appender, values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.uint64]:
    """Datasets of one number each, equal ones being one; their addresses, in the shape of the numbers."""
    datatype = INT64 if values.dtype.kind == "i" else FLOAT64
    bits = np.ascontiguousarray(values).view(np.uint64)
    distinct, of, links = np.unique(bits.ravel(), return_inverse=True, return_counts=True)
    found = np.empty(len(distinct), np.uint64)
    for shared in (False, True):
        mine = (links > 1) == shared
        if mine.any():
            numbers = {"links": links[mine]} if shared else {}
            found[mine] = out.objects(
                objects.scalar(datatype, shared=shared), value=distinct[mine].view(values.dtype), **numbers
            )
    return found[of].reshape(values.shape)
