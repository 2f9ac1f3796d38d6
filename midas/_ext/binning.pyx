"""Which spots may be meant by a (ring, eta, omega): the look-up table of the legacy indexer.

See docs/theory/binning.md#look-up-table.

A spot belongs to every bin of a window around it. A window is the first bin and the number of bins along eta and along
omega, counted from -180 and continued at the first bin behind the last one. The table of a ring is made in bands of eta
rows, each of them by one thread, so that it is the same for any number of threads.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs
from libc.string cimport memset

from midas._ext.numerics.bins cimport BinAxis, bin_axis, bin_window
from midas._ext.numerics.elementary cimport atan, sin
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG

cdef enum:
    BAND = 16              # eta rows that a thread takes at a time; their counters should fit into its cache
    LAST_OFFSET = 2147483647


cdef struct SpotWindow:
    int first_eta
    int eta_count
    int first_omega
    int omega_count


cdef struct BinRecord:
    int count              # entries of the bin
    int offset             # entries of all bins before it


cdef SpotWindow _a_window

#: the bins of a spot as a numpy type
WINDOW = np.asarray(<SpotWindow[:1]>&_a_window).dtype


def bin_count(double size):
    """Bins of `size` degrees on a full turn, and whether they fill it exactly (else the last one is smaller)."""
    cdef BinAxis axis = bin_axis(size)
    return int(axis.bins), bool(axis.divides)


def spot_windows(const double[::1] eta, const double[::1] omega, const double[::1] radius, double margin_eta,
                 double margin_omega, double step, double eta_bin, double omega_bin, int threads):
    """The bins of each spot (docs/theory/binning.md#windows).

    Parameters
    ----------
    eta, omega : (n,) float64, degrees, finite
    radius : (n,) float64, µm, ideal radius of the spot's ring; 0 leaves the spot out
    margin_eta : µm along the ring
    margin_omega : degrees
    step : orientation step of the search, degrees
    eta_bin, omega_bin : bin widths, degrees

    Returns
    -------
    (n,) `WINDOW`: first_eta, eta_count, first_omega, omega_count; all 0 for a spot left out
    """
    cdef Py_ssize_t i, n = eta.shape[0]
    cdef BinAxis eta_axis = bin_axis(eta_bin), omega_axis = bin_axis(omega_bin)
    out = np.zeros(n, dtype=WINDOW)
    cdef SpotWindow[::1] windows = out
    if omega.shape[0] != n or radius.shape[0] != n:
        raise ValueError("one omega and one radius per eta")
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        if radius[i] != 0.0:
            bin_window(&eta_axis, eta[i], RAD2DEG * atan(margin_eta / radius[i]) + 0.5 * step, &windows[i].first_eta,
                       &windows[i].eta_count)
            bin_window(&omega_axis, omega[i], margin_omega + 0.5 * step / fabs(sin(eta[i] * DEG2RAD)),
                       &windows[i].first_omega, &windows[i].omega_count)
    return out


cdef struct EtaRows:
    Py_ssize_t begin       # begin ... end - 1 of a ring
    Py_ssize_t end
    Py_ssize_t eta_bins
    Py_ssize_t omega_bins


cdef struct BandEntries:
    int* rows              # of the spots in each bin
    int offset             # entries before them


cdef inline Py_ssize_t _overlap(const EtaRows* band, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    low = max(low, band.begin)
    high = min(high, band.end)
    return high - low if high > low else 0


cdef inline Py_ssize_t _rows_touched(const EtaRows* band, const SpotWindow* window) noexcept nogil:
    """Eta rows of the band that a window covers, the part behind the last bin included."""
    cdef Py_ssize_t last = window.first_eta + window.eta_count
    return _overlap(band, window.first_eta, last) + _overlap(band, 0, last - band.eta_bins)


cdef inline void _count(BinRecord* records, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(first, last):
        records[j].count += 1


cdef inline void _place(BinRecord* records, const BandEntries* entries, int row, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(first, last):
        records[j].offset -= 1
        entries.rows[records[j].offset - entries.offset] = row


cdef inline void _visit(const EtaRows* band, const SpotWindow* window, Py_ssize_t low, Py_ssize_t high, int row,
                        BinRecord* records, const BandEntries* entries) noexcept nogil:
    """Count a spot in the bins of the eta rows low ... high - 1, or, with `entries`, place it there."""
    cdef Py_ssize_t last = window.first_omega + window.omega_count
    cdef Py_ssize_t cut = min(last, band.omega_bins)
    cdef Py_ssize_t e
    cdef BinRecord* at
    for e in range(max(low, band.begin), min(high, band.end)):
        at = records + band.omega_bins * (e - band.begin)
        if entries == NULL:
            _count(at, window.first_omega, cut)
            _count(at, 0, last - band.omega_bins)
        else:
            _place(at, entries, row, window.first_omega, cut)
            _place(at, entries, row, 0, last - band.omega_bins)


cdef void _visit_all(const EtaRows* band, const int[::1] near, const int[::1] rows, const SpotWindow[::1] windows,
                     BinRecord* records, const BandEntries* entries) noexcept nogil:
    """All spots of `near`, the last one first."""
    cdef Py_ssize_t i, k, last
    for k in range(near.shape[0] - 1, -1, -1):
        i = near[k]
        if _rows_touched(band, &windows[i]):
            last = windows[i].first_eta + windows[i].eta_count
            _visit(band, &windows[i], windows[i].first_eta, last, rows[i], records, entries)
            _visit(band, &windows[i], 0, last - band.eta_bins, rows[i], records, entries)


cdef Py_ssize_t _find_near(const EtaRows* part, const SpotWindow[::1] windows, int[::1] near) noexcept nogil:
    """The spots that touch a part of the ring, in their order; how many."""
    cdef Py_ssize_t i, count = 0
    for i in range(windows.shape[0]):
        if _rows_touched(part, &windows[i]):
            near[count] = <int>i
            count += 1
    return count


cdef long long _band_entries(const EtaRows* band, const int[::1] near, const SpotWindow[::1] windows) noexcept nogil:
    cdef Py_ssize_t k
    cdef long long total = 0
    for k in range(near.shape[0]):
        total += _rows_touched(band, &windows[near[k]]) * windows[near[k]].omega_count
    return total


cdef void _fill_band(const EtaRows* band, const int[::1] near, const int[::1] rows, const SpotWindow[::1] windows,
                     int offset, BinRecord* records, int* place) noexcept nogil:
    """Counting sort of one band; its first entry goes to `place`.

    Each bin's offset starts as the end of its entries. Placing the spots from the last to the first moves it to
    their beginning, which is the offset that the file needs.
    """
    cdef Py_ssize_t cell, cells = (band.end - band.begin) * band.omega_bins
    cdef int end = offset
    cdef BandEntries entries
    entries.rows = place
    entries.offset = offset
    memset(records, 0, cells * sizeof(BinRecord))
    _visit_all(band, near, rows, windows, records, NULL)
    for cell in range(cells):
        end += records[cell].count
        records[cell].offset = end
    if end > offset:
        _visit_all(band, near, rows, windows, records, &entries)


cdef inline EtaRows _band(Py_ssize_t b, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t eta_bins,
                          Py_ssize_t omega_bins) noexcept nogil:
    cdef EtaRows band
    band.begin = begin + b * BAND
    band.end = min(band.begin + BAND, end)
    band.eta_bins = eta_bins
    band.omega_bins = omega_bins
    return band


cdef long long[::1] _band_starts(const EtaRows* part, Py_ssize_t bands, const int[::1] near,
                                 const SpotWindow[::1] windows, int threads):
    """Entries before each band of a part, and all of them last."""
    cdef long long[::1] starts = np.zeros(bands + 1, dtype=np.int64)
    cdef Py_ssize_t b
    cdef EtaRows band
    with Listening():
        for b in prange(bands, nogil=True, num_threads=threads, schedule="static"):
            if stopped():
                continue
            band = _band(b, part.begin, part.end, part.eta_bins, part.omega_bins)
            starts[b + 1] = _band_entries(&band, near, windows)
    for b in range(bands):
        starts[b + 1] += starts[b]
    return starts


def fill_bins(const int[::1] rows, const SpotWindow[::1] windows, Py_ssize_t begin, Py_ssize_t eta_bins,
              long long offset, BinRecord[:, ::1] records, int threads):
    """The table of one ring from eta row `begin` on.

    Parameters
    ----------
    rows : (n,) int32, row numbers of the ring's spots, ascending
    windows : (n,) `WINDOW`, their bins, from `spot_windows`
    begin : first eta row of this part
    eta_bins : eta rows of a ring
    offset : entries of all earlier bins
    records : (part, omega bins) of int32 count and offset, filled for the bins of `part` eta rows

    Returns
    -------
    (entries,) int32: the row numbers in each bin, bin after bin, ascending in each

    Raises
    ------
    OverflowError
        when an offset would not fit into 32 bits
    """
    cdef Py_ssize_t b, end = begin + records.shape[0], omega_bins = records.shape[1]
    cdef Py_ssize_t bands = (records.shape[0] + BAND - 1) // BAND
    cdef EtaRows band, part
    if windows.shape[0] != rows.shape[0]:
        raise ValueError("one window per row")
    if begin < 0 or end > eta_bins:
        raise ValueError("eta rows outside the ring")
    part.begin = begin
    part.end = end
    part.eta_bins = eta_bins
    part.omega_bins = omega_bins
    cdef int[::1] near = np.empty(rows.shape[0] + 1, dtype=np.int32)
    near = near[:_find_near(&part, windows, near)]
    cdef long long[::1] starts = _band_starts(&part, bands, near, windows, threads)
    if offset + starts[bands] > LAST_OFFSET:
        raise OverflowError("the offsets of the bins do not fit into 32 bits")
    out = np.empty(starts[bands] + 1, dtype=np.int32)      # one more: a view of nothing has no address
    cdef int[::1] entries = out
    with Listening():
        for b in prange(bands, nogil=True, num_threads=threads, schedule="dynamic"):
            if stopped():
                continue
            band = _band(b, begin, end, eta_bins, omega_bins)
            _fill_band(&band, near, rows, windows, <int>(offset + starts[b]), &records[b * BAND, 0],
                       &entries[starts[b]])
    return out[:starts[bands]]
