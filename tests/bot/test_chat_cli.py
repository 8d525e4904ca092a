"""`timbre roles` and `timbre groups`, as an operator types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.errors import CommandRejected

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, migrated_file: Path) -> None:
    """TIMBRE_HOME with a database at the newest schema."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "timbre.db").write_bytes(migrated_file.read_bytes())


def said(*words: str) -> str:
    """What the command prints, its white space made one. Raises what the command raises."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_an_operator_gives_lists_and_takes_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_CHAT__FIRST_ADMIN", "slack:T1:ROOT")

    assert said("roles", "grant", "@slack:T1:U1", "Admin") == "slack:T1:U1 is admin now."
    listed = said("roles", "list")
    assert "slack:T1:U1 admin console:" in listed
    assert listed.endswith("The first admin is slack:T1:ROOT (TIMBRE_CHAT__FIRST_ADMIN).")
    assert said("roles", "revoke", "slack:T1:U1") == "slack:T1:U1 is a plain member now."
    assert said("roles", "list").startswith("Nobody was given a role yet.")


def test_an_operator_adds_to_lists_and_takes_from_groups() -> None:
    assert said("groups", "add", "slack:T1:U1", "hr") == "slack:T1:U1 may read what is for hr now."
    assert said("groups", "list") == "group person hr slack:T1:U1"
    assert said("groups", "remove", "slack:T1:U1", "hr") == "slack:T1:U1 may no longer read what is for hr."
    assert said("groups", "list") == "Nobody is in a group yet."


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("roles grant U1 admin", "'U1' is no person. Mention them, or write platform:workspace:user, such as slack:T1:U1"),
        ("roles grant slack:T1:U1 boss", "'boss' is no role. Right would be member, support or admin."),
        ("roles grant slack:T1:U1 amdin", "Did you mean admin?"),
        ("roles revoke slack:T1:U1", "has no role"),
        ("groups add slack:T1 hr", "'slack:T1' is no person"),
        ("groups remove slack:T1:U1 hr", "is not in the group hr"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(words: str, sentence: str) -> None:
    with pytest.raises(CommandRejected) as caught:
        said(*words.split())

    assert sentence in str(caught.value)
