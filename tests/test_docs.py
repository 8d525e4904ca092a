"""The documentation says what the code does: settings, commands, words, tree and links."""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from bot.cli import app
from bot.settings import field_paths, variable

ROOT = Path(__file__).parent.parent
PACKAGES = ("adapters", "bot", "knowledge", "training")
MODULES = [path for package in (*PACKAGES, "tests") for path in sorted((ROOT / package).rglob("*.py"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")), ROOT / "samples" / "README.md"]
GLOSSARY = "Exchange Quote Citation Verdict StandardAnswer Audience Source Document Chunk Passage Generation".split()
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def readme() -> str:
    return (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every command as it is typed after `timbre`; groups without their parts."""
    return list(get_command(app).commands)  # type: ignore[attr-defined]  # a click group


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", page.read_text(), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in headings}


def test_every_setting_is_in_the_readme() -> None:
    text = readme()

    assert [variable(path) for path, _ in field_paths() if variable(path) not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_that_is_named_is_a_setting(page: Path) -> None:
    known = {variable(path) for path, _ in field_paths()}

    named = set(re.findall(r"\bTIMBRE_[A-Z_]*[A-Z]\b(?!_)", page.read_text()))

    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(page: Path) -> None:
    shown = re.findall(r"(?:^|`|exec bot )timbre ([a-z]+)", page.read_text(), re.MULTILINE)

    assert set(shown) - set(commands()) == set()


def test_every_command_is_in_the_readme() -> None:
    text = readme()

    assert [name for name in commands() if f"timbre {name}" not in text] == []


def test_the_glossary_has_every_word() -> None:
    text = readme()

    assert [word for word in GLOSSARY if not re.search(rf"\|[^|\n]*`{word}`[^|\n]*\|", text)] == []


def test_the_tree_lists_every_top_level_folder() -> None:
    text = readme()

    folders = [*PACKAGES, "tests", "benchmarks", "samples"]

    assert [folder for folder in folders if f"{folder}/" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [next(filter(None, found)) for found in _LINK.findall(_CODE.sub("", page.read_text()))]
    local = [link.partition("#") for link in links if "://" not in link and not link.startswith("mailto:")]

    targets = [((page.parent / path) if path else page, anchor) for path, _, anchor in local]

    assert [str(path) for path, _ in targets if not path.exists()] == []
    assert [
        (path.name, a) for path, a in targets if a and path.suffix == ".md" and path.exists() and a not in anchors(path)
    ] == []


def test_every_module_says_what_it_is_for() -> None:
    modules = [path for path in MODULES if "versions" not in path.parts]

    assert [str(path.relative_to(ROOT)) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))] == []
