"""The k-th smallest of some numbers."""


cdef inline float kth_smallest(float* a, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """What stands at place k of the n numbers in rising order; reorders them. C. A. R. Hoare, CACM 4 (1961) 321."""
    cdef Py_ssize_t low = 0, high = n - 1, i, j
    cdef float pivot
    while low < high:
        pivot = a[k]
        i = low
        j = high
        while i <= j:
            while a[i] < pivot:
                i += 1
            while pivot < a[j]:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        if j < k:
            low = i
        if k < i:
            high = j
    return a[k]
