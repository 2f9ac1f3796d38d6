"""What every test of the conversion needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from midas.archive import Archive
from midas.convert import conversion
from midas.convert.options import ConversionOptions

from .raw_files import BASE


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., Archive]:
    """Convert with a parameter text and options, and open what comes out."""

    def converted(text: str = BASE, **options: Any) -> Archive:
        parameter_file = tmp_path / "ps.txt"
        parameter_file.write_text(text)
        result = conversion.run(
            ConversionOptions(**{"parameter_file": parameter_file, "result_folder": tmp_path / "out", **options}),
            threads=2,
        )
        assert not list(result.data.parent.glob("*.part"))
        return Archive(result.data)

    return converted
