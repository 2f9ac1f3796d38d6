"""The harness of processors with a few: no file of the pipeline depends on what the processor can do."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from tiny_scan import TinyScan

from tests.reliability import processors


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="masks instructions of x86-64")
def test_every_file_is_the_same_without_fma_and_avx(scan: TinyScan, tmp_path: Path) -> None:
    commands = processors.COMMANDS[:4]
    here, files = processors.run(scan, tmp_path / "run", {}, commands=commands)
    there, others = processors.run(scan, tmp_path / "run", processors.PROCESSORS["all of 2008"], commands=commands)
    assert len(files) > 100
    assert processors.changed(files, others) == []
    if "fma" in Path("/proc/cpuinfo").read_text() and "glibc" in os.confstr("CS_GNU_LIBC_VERSION"):
        assert here != there, "the masks have no effect"
