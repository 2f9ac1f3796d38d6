"""An archive gets other parameters without converting its frames again."""

from __future__ import annotations

import shutil
from pathlib import Path

from tiny_scan import TinyScan

from midas.convert import conversion
from midas.convert.options import ConversionOptions


def test_the_bytes_are_those_of_another_conversion(scan: TinyScan, tmp_path: Path, monkeypatch) -> None:
    parameters = Path(shutil.copy(scan.parameters, tmp_path / "ps.txt"))
    options = ConversionOptions(parameters, tmp_path / "out", data_file=str(scan.raw), any_layer=True)
    path = conversion.run(options, threads=1).data
    assert not conversion.refresh(options, path, threads=1, relative_to=tmp_path)
    text = parameters.read_text().replace(
        "MinNrSpots 1\n", ""
    )  # one that is gone, one that is changed, one that is new
    parameters.write_text(text.replace("Width 1500", "Width 1400") + "SigmaFloor 0.01\n")
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_write_frames", None)
        assert conversion.refresh(options, path, threads=1, relative_to=tmp_path)
    refreshed = path.read_bytes()
    path.unlink()
    assert conversion.run(options, threads=1).data.read_bytes() == refreshed
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [path.name]
