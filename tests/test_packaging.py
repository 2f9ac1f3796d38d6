"""The files that describe the package say the same as pyproject.toml, and the source distribution is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from midas._version import __version__

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PYTHONS = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.fullmatch(r".*:: Python :: 3\.\d+", name)]


def content(path: str) -> Any:
    """A YAML file of the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def versions(requirements: list[str]) -> dict[str, object]:
    """Name -> accepted versions; what pip and conda write differently becomes the same."""
    found = map(Requirement, requirements)
    return {canonicalize_name(one.name): one.specifier for one in found}


def test_conda_requires_what_pip_requires() -> None:
    needs = content("conda/recipe.yaml")["requirements"]
    assert versions(needs["run"]) == versions(["python", *PROJECT["dependencies"]])
    assert versions(needs["host"]) == versions(["python", "pip", *PYPROJECT["build-system"]["requires"]])


def test_names_versions_and_licences_agree() -> None:
    recipe, citation = content("conda/recipe.yaml"), content("CITATION.cff")
    assert recipe["context"]["version"] == citation["version"] == __version__
    assert recipe["package"]["name"] == PROJECT["name"]
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["about"]["license"] == citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["keywords"] == PROJECT["keywords"]


def test_every_supported_python_is_built_and_tested() -> None:
    assert f">={PYTHONS[0]}" == PROJECT["requires-python"]
    assert content("conda/variants.yaml")["python"] == [f"{one}.*" for one in PYTHONS]
    assert content(".github/workflows/ci.yml")["jobs"]["checked"]["strategy"]["matrix"]["python"] == PYTHONS
    minors = ",".join(one.removeprefix("3.") for one in PYTHONS)
    assert PYPROJECT["tool"]["cibuildwheel"]["build"] == f"cp3{{{minors}}}-manylinux_*"


def test_linters_before_a_commit_are_those_of_ci() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    ci = {re.sub(r" (--check|\.|midas/_ext)(?= |$)", "", line) for line in lines if re.match("ruff|mypy|cython", line)}
    hooks = [hook for repo in content(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["entry"].removesuffix(" --force-exclude") for hook in hooks} == ci
    assert {hook["language"] for hook in hooks} == {"system"}


def test_guide_for_contributors_names_what_there_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:midas|tests|docs|benchmarks|bin|conda)/[\w./-]*)`", text)
    named += [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()] == []


def test_source_distribution_holds_the_repository(tmp_path: Path) -> None:
    """Everything that git knows, and nothing that it ignores. Only the list is made; building takes half a minute."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(git.stdout.split("\0")) - {""}
    make_list = "import setuptools; setuptools.setup()"
    arguments = ["-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run([sys.executable, "-c", make_list, *arguments], cwd=ROOT, capture_output=True, check=True)
    (manifest,) = tmp_path.rglob("SOURCES.txt")
    listed = {name for name in manifest.read_text(encoding="utf-8").split("\n") if "egg-info/" not in name}
    assert tracked - listed == set()
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"], cwd=ROOT, capture_output=True, text=True, input="\n".join(listed)
    )
    assert ignored.stdout == ""


def test_wheel_holds_the_types_and_the_sources_of_the_kernels() -> None:
    """Without py.typed a type checker ignores the package; the sources let other kernels cimport these."""
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    found = {
        path for name, globs in patterns.items() for one in globs for path in (ROOT / name.replace(".", "/")).glob(one)
    }
    kernels = [path for ending in ("pyx", "pxd", "pyi") for path in (ROOT / "midas" / "_ext").rglob(f"*.{ending}")]
    assert len(kernels) > 50
    assert {ROOT / "midas" / "py.typed", *kernels} - found == set()
    assert "Typing :: Typed" in PROJECT["classifiers"]
