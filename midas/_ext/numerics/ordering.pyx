"""Sorting in which near-equal keys are ties (docs/theory/fit_setup.md#tolerant-sort)."""
import numpy as np

from libc.string cimport memcpy


cdef inline bint _in_order(double left, double right) noexcept nogil:
    # Products first, then the difference, truncated toward zero: less than 0.001 apart counts as equal.
    return <long long>(1000.0 * left - 1000.0 * right) <= 0


cdef void merge_sort(const double* keys, long long* order, long long* scratch, Py_ssize_t n) noexcept nogil:
    """Sort the n indices in `order` by their keys, as `argsort_tolerant` does; `scratch` has room for n more."""
    cdef Py_ssize_t half = n // 2, i = 0, j = half, k = 0
    if n < 2:
        return
    merge_sort(keys, order, scratch, half)
    merge_sort(keys, order + half, scratch, n - half)
    while i < half and j < n:
        if _in_order(keys[order[i]], keys[order[j]]):
            scratch[k] = order[i]
            i += 1
        else:
            scratch[k] = order[j]
            j += 1
        k += 1
    memcpy(scratch + k, order + i, (half - i) * sizeof(long long))
    memcpy(order, scratch, (k + half - i) * sizeof(long long))


def argsort_tolerant(const double[::1] keys):
    """Order of ascending keys in which keys less than 0.001 apart keep their order.

    The relation is not transitive, so the result depends on the algorithm: a top-down merge sort that splits n into
    the first n // 2 and the rest and takes from the left while the keys are in order.

    Parameters
    ----------
    keys : (n,) float64, finite

    Returns
    -------
    (n,) int64, the indices in sorted order
    """
    cdef Py_ssize_t n = keys.shape[0]
    order = np.arange(n, dtype=np.int64)
    scratch = np.empty(n, dtype=np.int64)
    cdef long long[::1] order_view = order
    cdef long long[::1] scratch_view = scratch
    if n > 1:
        with nogil:
            merge_sort(&keys[0], &order_view[0], &scratch_view[0], n)
    return order
