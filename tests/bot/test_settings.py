"""Where settings come from, and what a mistake in one is answered with."""

import os
from pathlib import Path

import pytest

from bot.errors import SettingsInvalid
from bot.settings import SETTINGS_FILE, explain, field_paths, load, variable


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The TIMBRE_HOME that `load` reads (named by conftest)."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def complaint() -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load()
    return str(caught.value)


def test_defaults_hold_where_nothing_is_set() -> None:
    settings = load()

    assert (settings.answer.wording, settings.answer.max_quotes, settings.model.url) == ("auto", 3, "")
    assert settings.embedding.workers == (os.cpu_count() or 1)


def test_the_file_goes_over_defaults_and_the_environment_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / SETTINGS_FILE).write_text('log_level = "INFO"\n[answer]\nmax_quotes = 2\nask_whom = "the file"\n')
    monkeypatch.setenv("TIMBRE_ANSWER__ASK_WHOM", "the environment")

    settings = load()

    assert (settings.log_level, settings.answer.max_quotes) == ("INFO", 2)
    assert settings.answer.ask_whom == "the environment"


def test_the_home_is_absolute_and_the_person_s(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TIMBRE_HOME", "~/state")

    assert load().home == home / "state"


def test_without_a_home_it_is_in_the_person_s_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TIMBRE_HOME", "")

    assert load().home == home / ".timbre"


def test_an_unknown_variable_is_named_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_LOG_LEVLE", "INFO")

    assert "TIMBRE_LOG_LEVLE is no setting. Did you mean TIMBRE_LOG_LEVEL?" in complaint()


def test_a_mistake_in_a_group_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_MODEL__IDD", "x")

    lines = complaint().splitlines()

    assert len(lines) == 1
    assert lines[0].startswith("TIMBRE_MODEL__IDD is no setting. Did you mean TIMBRE_MODEL__ID?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMBRE_ANSWER__MAX_QUOTES", "many"),
        ("TIMBRE_ANSWER__MAX_QUOTES", "9"),
        ("TIMBRE_ANSWER__WORDING", "poem"),
        ("TIMBRE_MODEL__TIMEOUT_S", "-1"),
        ("TIMBRE_LOG_LEVEL", "LOUD"),
        ("TIMBRE_INGESTION__MAX_FILE_MB", "0"),
    ],
)
def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    assert f"{name} in the environment has the wrong value '{value}'" in complaint()


def test_a_group_set_as_one_is_refused_with_the_right_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_MODEL", "llama")

    assert "TIMBRE_MODEL__ID" in complaint()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[answer]\nmax_quotes = 'x'\n", "answer.max_quotes in timbre.toml has the wrong value 'x'"),
        ("[answer]\nmax_quots = 3\n", "answer.max_quots in timbre.toml is no setting"),
        ("colour = 'red'\n", "colour in timbre.toml is no setting"),
        ("model = 5\n", "model in timbre.toml has the wrong value 5"),
        ("x = [", "timbre.toml is no valid TOML"),
        ("x = '\ud800'", "timbre.toml is no valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(home: Path, content: str, expected: str) -> None:
    (home / SETTINGS_FILE).write_bytes(content.encode("utf-8", "surrogatepass"))

    assert expected in complaint()


def test_every_mistake_has_its_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / SETTINGS_FILE).write_text("[answer]\nmax_quotes = 99\n")
    monkeypatch.setenv("TIMBRE_COLOUR", "red")

    lines = complaint().splitlines()

    assert ["TIMBRE_COLOUR" in lines[0], "answer.max_quotes" in lines[1], len(lines)] == [True, True, 2]


def test_a_settings_file_that_is_a_folder_is_told_in_a_sentence(home: Path) -> None:
    (home / SETTINGS_FILE).mkdir()

    assert "timbre.toml cannot be read" in complaint()


def test_every_setting_is_explained_with_its_origin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / SETTINGS_FILE).write_text("[answer]\nmax_quotes = 2\n")
    monkeypatch.setenv("TIMBRE_LOG_LEVEL", "INFO")

    rows = {row.name: row for row in explain(load())}

    assert list(rows) == [variable(path) for path, _ in field_paths()]
    assert (rows["TIMBRE_ANSWER__MAX_QUOTES"].value, rows["TIMBRE_ANSWER__MAX_QUOTES"].origin) == ("2", "timbre.toml")
    assert (rows["TIMBRE_LOG_LEVEL"].value, rows["TIMBRE_LOG_LEVEL"].origin) == ("INFO", "environment")
    assert (rows["TIMBRE_MODEL__URL"].value, rows["TIMBRE_MODEL__URL"].origin) == ("", "default")


def test_secrets_are_never_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_DATABASE_KEY", "hunter2")
    monkeypatch.setenv("TIMBRE_MODEL__API_KEY", "hunter2")
    monkeypatch.setenv("TIMBRE_INDEX__API_KEY", "hunter2")
    monkeypatch.setenv("TIMBRE_DATABASE_URL", "postgresql://ann:hunter2@host/timbre")

    settings = load()

    assert "postgresql://ann:***@host/timbre" in str(explain(settings))
    assert "hunter2" not in str(explain(settings)) + repr(settings)
    assert [row.value for row in explain(settings) if "KEY" in row.name] == ["(set, hidden)"] * 3


def test_a_secret_of_the_wrong_type_is_not_repeated(home: Path) -> None:
    (home / SETTINGS_FILE).write_text("database_key = 8675309\n")

    text = complaint()

    assert "database_key in timbre.toml" in text
    assert "8675309" not in text


def test_every_setting_has_a_description() -> None:
    assert [variable(path) for path, field in field_paths() if not field.description] == []


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [("TIMBRE_INDEX__URL", "localhost:8080", "write http://HOST:PORT"), ("TIMBRE_INDEX__NAME", "a b", "write a capital letter")],
)
def test_an_address_or_name_that_the_index_cannot_have_says_what_to_write(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsInvalid, match=f"{variable} in the environment has the wrong value '{value}': {remedy}"):
        load()
