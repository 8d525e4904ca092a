"""What is built and installed is what is in the tree."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

import adapters
from knowledge.extras import DISTRIBUTION, Extra
from training.weights import BUILT_IN_REQUIREMENT

ROOT = Path(__file__).parent.parent
TOP = ("adapters", "bot", "knowledge", "training")
HEAVY = ("torch", "transformers", "onnxruntime", "sentence_transformers", "openai", "pdfplumber")
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[\w.!+]+(\s*;.*)?(\s*\\)?")


def on_disk() -> set[str]:
    """Every folder with Python modules below the four packages, as a dotted name."""
    return {".".join(path.parent.relative_to(ROOT).parts) for name in TOP for path in (ROOT / name).rglob("*.py")}


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def test_the_extras_that_errors_can_name_are_those_that_can_be_installed() -> None:
    assert project()["name"] == DISTRIBUTION
    assert set(project()["optional-dependencies"]) - {"all"} == set(get_args(Extra))


def test_the_extra_all_is_the_union_of_the_others() -> None:
    (everything,) = project()["optional-dependencies"]["all"]

    assert everything == f"{DISTRIBUTION}[{','.join(name for name in project()['optional-dependencies'] if name != 'all')}]"


def test_the_language_model_that_an_error_names_is_the_pinned_one() -> None:
    assert (ROOT / "requirements" / "weights.txt").read_text().split() == [BUILT_IN_REQUIREMENT]


def test_the_packages_that_are_built_are_those_on_disk() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    assert set(declared) == on_disk()


def test_files_that_code_reads_are_built_in() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]

    declared = {Path(package.replace(".", "/")) / name for package, names in data.items() for name in names}
    others = {
        path.relative_to(ROOT)
        for name in TOP
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others == declared


def test_the_adapters_that_are_imported_are_ours() -> None:
    assert [Path(folder) for folder in adapters.__path__] == [ROOT / "adapters"]


def test_no_other_distribution_brings_a_package_of_these_names() -> None:
    owners = importlib.metadata.packages_distributions()

    assert {name: sorted(set(owners.get(name, [])) - {DISTRIBUTION}) for name in TOP} == {name: [] for name in TOP}


def test_ci_runs_the_two_targets() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()

    assert [line for line in lines if line.startswith("make ")] == ["make check", "make test"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_requirements_are_pinned_names_without_addresses(path: Path) -> None:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("--hash")]

    assert [line for line in wanted if not PINNED.fullmatch(line)] == []
    assert wanted


@pytest.mark.slow
def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = f"import sys, bot.cli; print([name for name in {HEAVY!r} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert found.stdout.strip() == "[]"
