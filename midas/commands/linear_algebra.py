"""The routines of the linear algebra, before NumPy is imported (docs/reliability.md#every-processor)."""

from __future__ import annotations

from collections.abc import MutableMapping

#: kind of processor: the routines of OpenBLAS that all of the kind can run; others are left to the library
_COMMON = {"x86_64": "Prescott", "amd64": "Prescott", "aarch64": "ARMV8", "arm64": "ARMV8"}


def take_common(environment: MutableMapping[str, str], machine: str) -> None:
    """Have the same digits on every processor of a kind, whatever the user asked of the library.

    Parameters
    ----------
    environment : of this process, which the libraries read when they are loaded
    machine : as `os.uname` calls the kind
    """
    if machine in _COMMON:
        environment["OPENBLAS_CORETYPE"] = _COMMON[machine]
    environment["MKL_CBWR"] = "COMPATIBLE"
