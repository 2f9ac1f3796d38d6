"""Sorting in which near-equal keys are ties, for kernels; see ordering.pyx."""


cdef void merge_sort(const double* keys, long long* order, long long* scratch, Py_ssize_t n) noexcept nogil
