"""Names of packages that are imported when they are first used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("midas.calibration", "midas.experiment", "midas.results.stress")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for one in package.__all__:
        assert getattr(package, one).__class__ is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_other_names_are_not(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        importlib.import_module(name).nothing  # noqa: B018


def test_the_packages_alone_import_no_numpy() -> None:
    code = f"import sys, {', '.join(PACKAGES)}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
