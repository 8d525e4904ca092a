"""The command line on Postgres: the same documents and questions as on SQLite give the same answers."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.journeys.commands import EMBEDDING, Run, refusal
from tests.journeys.test_cli import LEAVE, PAY, QUESTION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.service,
    pytest.mark.skipif(not EMBEDDING.exists(), reason="run `timbre setup` first"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "leave.md").write_text(LEAVE)
    (tmp_path / "docs" / "pay.md").write_text(PAY)
    return tmp_path / "docs"


def words(answer: Any) -> Any:
    return {name: answer[name] for name in ("outcome", "text", "citations", "signal")}


def test_a_whole_day_on_postgres(folder: Path, postgres_url: str, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    address = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)

    def on_postgres(*arguments: str | Path) -> Run:
        return Run(there, *arguments, TIMBRE_DATABASE_URL=address)

    ingested = on_postgres("ingest", folder)
    answer = on_postgres("ask", QUESTION, "--json").json
    doctor = on_postgres("doctor")
    rebuilt = on_postgres("reindex")
    again = on_postgres("ask", QUESTION, "--json").json
    forgotten = on_postgres("forget", "docs", "--yes")

    assert Run(here, "ingest", folder).status == 0
    assert words(answer) == words(again) == words(Run(here, "ask", QUESTION, "--json").json)
    assert "2 new" in ingested.out and "0 embedded" in rebuilt.out
    assert doctor.status == 0 and "***@" in doctor.out and ", Postgres 1" in doctor.out and ", schema 0" in doctor.out
    assert "Forgot docs: 2 documents." in forgotten.out
    assert not (there / "timbre.db").exists()
    password = str(make_url(postgres_url).password)
    assert not any(password in run.out + run.err for run in (ingested, doctor, rebuilt, forgotten))


def test_a_server_that_is_away_is_told_in_a_sentence(postgres_url: str, tmp_path: Path) -> None:
    away = make_url(postgres_url).set(port=1).render_as_string(hide_password=False)

    sentence = refusal(Run(tmp_path / "home", "sources", TIMBRE_DATABASE_URL=away))

    assert "nothing listens at that host and port; start Postgres there or correct TIMBRE_DATABASE_URL" in sentence
    assert str(make_url(away).password) not in sentence
