"""Routines of the linear algebra that every processor of a kind can run (docs/reliability.md#every-processor)."""

from __future__ import annotations

import pytest

from midas.commands.linear_algebra import take_common


@pytest.mark.parametrize(
    ("machine", "routines"),
    [("x86_64", "Prescott"), ("aarch64", "ARMV8"), ("arm64", "ARMV8"), ("ppc64le", "POWER9"), ("riscv64", "POWER9")],
)
def test_routines_of_a_kind_of_processor(machine: str, routines: str) -> None:
    """Where there is no promise the user's choice stays; "POWER9" stands for it."""
    environment = {"OPENBLAS_CORETYPE": "POWER9", "MKL_CBWR": "AVX2"}
    take_common(environment, machine)
    assert environment == {"OPENBLAS_CORETYPE": routines, "MKL_CBWR": "COMPATIBLE"}


def test_a_processor_of_which_nothing_is_known() -> None:
    environment: dict[str, str] = {}
    take_common(environment, "s390x")
    assert "OPENBLAS_CORETYPE" not in environment
