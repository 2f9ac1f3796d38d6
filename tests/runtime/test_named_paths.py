"""Paths that stand in data (docs/security.md#what-is-written-where)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from midas.experiment.panels import panels_of
from midas.formats.layer import Layer
from midas.ledger.steps import INDEXING, PEAKS
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, OutputError
from midas.runtime.files import read_bytes
from midas.runtime.named_paths import make_subfolder, named_file, places_of, why_not_into

PANELS = "NPanelsY 1\nNPanelsZ 1\nPanelSizeY 10\nPanelSizeZ 10\nPanelShiftsFile {}\n"


def test_a_folder_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert why_not_into(tmp_path) == ""
    assert why_not_into(tmp_path / "gone") == "does not exist"
    assert why_not_into(tmp_path / "file") == "is not a folder"
    assert why_not_into(tmp_path / "file" / "below") == "cannot be reached (Not a directory)"
    assert why_not_into(tmp_path / "loop") == "cannot be reached (Too many levels of symbolic links)"
    assert why_not_into("a\0b") == why_not_into("a\ud800") == "can be no folder"
    tmp_path.chmod(0o777)
    assert why_not_into(tmp_path) == "may be written to by everybody"


def test_links_in_a_layer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Within the layer without a word, to the user's own folder with a line, elsewhere never."""
    layer, scratch = tmp_path / "layer", tmp_path / "scratch"
    for folder in (layer / "midas_log", scratch):
        folder.mkdir(parents=True)
    for name, target in (("output", "midas_log"), ("Temp", scratch), ("Output", "../gone"), ("Results", "/dev")):
        (layer / name).symlink_to(target)
    with caplog.at_level(logging.INFO, "midas"):
        assert make_subfolder(layer / "output") and not caplog.records
        assert make_subfolder(layer / "Temp")
        assert caplog.messages == [f"{layer}/Temp is a link: what belongs there goes to {scratch}"]
    with pytest.raises(OutputError, match=r"Output: is a link to .*/gone, which does not exist; put a "):
        make_subfolder(layer / "Output")
    scratch.chmod(0o777)
    with pytest.raises(OutputError, match="which may be written to by everybody"):
        make_subfolder(layer / "Temp")
    assert not (tmp_path / "gone").exists()


def test_a_file_that_a_parameter_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the layer without a word, elsewhere with a line; what is no file, or would never end, is an error."""
    layer, other = tmp_path / "layer", tmp_path / "other"
    for folder in (layer, other):
        folder.mkdir()
        (folder / "shifts.txt").write_text("0 1 2\n")
    os.mkfifo(layer / "pipe")
    with caplog.at_level(logging.INFO, "midas"):
        for name in ("shifts.txt", "./shifts.txt", f"{layer}/shifts.txt"):
            assert len(panels_of(Parameters.parse(PANELS.format(name)), layer))
        assert not caplog.messages
        assert len(panels_of(Parameters.parse(PANELS.format("../other/shifts.txt")), layer))
        assert caplog.messages == [f"PanelShiftsFile names {layer}/../other/shifts.txt, which is read"]
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(FormatError, match=r"is not a file \(PanelShiftsFile\)"):
            panels_of(Parameters.parse(PANELS.format(name)), layer)
    with pytest.raises(FormatError, match="can be no file"):
        named_file("a\0b", layer, key="PanelShiftsFile", source="x")
    with pytest.raises(FormatError, match="cannot be read"):
        panels_of(Parameters.parse(PANELS.format("gone")), layer)


@pytest.mark.parametrize("present", [("layer", "here"), ("layer",), ("here",), ()])
def test_a_file_of_a_layer_is_the_same_for_who_reads_it_and_for_the_ledger(
    present: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the layer, where the driver copies it, else as it is named."""
    for number, name in enumerate(("layer", "here")):
        (tmp_path / name).mkdir()
        if name in present:
            (tmp_path / name / "sub").mkdir()
            (tmp_path / name / "sub" / "shifts.txt").write_text(f"0 {number + 1} 0\n")
    monkeypatch.chdir(tmp_path / "here")
    layer = Layer(tmp_path / "layer")
    settings = Parameters.parse(PANELS.format("sub/shifts.txt"))
    (listed,) = (path for (path,) in PEAKS.inputs(layer, settings).values() if path.name == "shifts.txt")
    expected = layer.folder / "sub/shifts.txt" if "layer" in present else Path("sub/shifts.txt")
    assert listed == expected
    grains = Parameters.parse("GrainsFile sub/shifts.txt\n")
    assert [expected] in [list(paths) for paths in INDEXING.inputs(layer, grains).values()]
    if present:
        (panel,) = panels_of(settings, *places_of(layer.folder))
        assert panel[6] == (1 if "layer" in present else 2)


def test_a_pipe_among_the_tables_does_not_stop_a_run(tmp_path: Path) -> None:
    """Nobody would ever write into it; one that a shell makes of a command is read."""
    os.mkfifo(tmp_path / "hkls.csv")
    with pytest.raises(FormatError, match="is a pipe or a device, not a file"):
        read_bytes(tmp_path / "hkls.csv")
    with pytest.raises(FormatError, match="can be no file"):
        read_bytes("a\0b")
    source, end = os.pipe()
    os.write(end, b"content")
    os.close(end)
    assert read_bytes(f"/dev/fd/{source}") == b"content"
    os.close(source)
