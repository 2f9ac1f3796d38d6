"""What ``from midas.experiment import ...`` gives, and that it costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from midas import experiment

HOME = {name: module for module, names in experiment._HOMES.items() for name in names.split()}


@pytest.mark.parametrize("name", experiment.__all__)
def test_name_is_that_of_its_module(name: str) -> None:
    found = getattr(experiment, name)
    assert found is getattr(import_module(f"midas.experiment.{HOME[name]}"), name)
    assert getattr(found, "__doc__", None)


def test_checker_and_interpreter_see_the_same_names() -> None:
    tree = ast.parse(Path(experiment.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: line.module for line in block.body for alias in line.names}
    assert {name: f"midas.experiment.{home}" for name, home in HOME.items()} == typed
    assert sorted(typed) == sorted(experiment.__all__)
    assert set(experiment.__all__) <= set(dir(experiment))


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = experiment.nothing


def test_package_alone_imports_no_numpy() -> None:
    code = "import sys, midas.experiment; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
