"""Postgres as the database: what is said when it cannot be used, and what outlasts the death of the server."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlmodel import col, select

from bot.conversation import Answer, Exchange, ExchangeId, Feedback, Outcome, Question, ReleaseId, Verdict
from bot.doctor import examine
from bot.errors import CommandRejected, DatabaseUnavailable
from bot.settings import Settings
from bot.storage import postgres as backend
from bot.storage.database import Database, newest_revision
from bot.storage.exchanges import ExchangeStore
from bot.storage.tables import AuditRow, FeedbackRow
from tests.databases import PostgresDatabases
from tests.knowledge.library import Library
from tests.servers import private_postgres

pytestmark = pytest.mark.service

PASSWORD = "hunter2"


def doctor_says(url: str, home: Path) -> str:
    """What `timbre doctor` says of the database at `url`, which it must find wanting."""
    findings = {finding.name: finding for finding in examine(Settings(home=home, database_url=url))}
    assert not findings["database"].is_well and findings["database"].remedy
    assert list(findings)[-1] == "database"  # nothing that needs it is examined
    return findings["database"].fact


@pytest.fixture
def guest(postgres: PostgresDatabases) -> Iterator[str]:
    """A user of the server who owns nothing and may make no table."""
    name = f"guest_{threading.get_native_id()}"
    postgres.run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    yield name
    postgres.run(f"DROP OWNED BY {name}")
    postgres.run(f"DROP ROLE {name}")


def changed(url: str, **parts: object) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"host": "no-such-host.invalid"}, "its host is unknown"),
        ({"port": 1}, "nothing listens at that host and port"),
        ({"password": PASSWORD}, "user or password is wrong"),
        ({"username": "nobody", "password": PASSWORD}, "user or password is wrong"),
        ({"password": ""}, "user or password is wrong"),
        ({"database": "no_such"}, "the server has no database of that name; make it with `createdb no_such`"),
    ],
)
def test_the_doctor_names_what_is_wrong_with_an_address(
    postgres_url: str, tmp_path: Path, parts: dict[str, object], sentence: str
) -> None:
    fact = doctor_says(changed(postgres_url, **parts), tmp_path)

    assert sentence in fact and fact.startswith("The database postgresql")
    assert PASSWORD not in fact and str(make_url(postgres_url).password) not in fact
    assert "\n" not in fact and "Background on this error" not in fact


def test_the_doctor_names_a_missing_right(
    postgres: PostgresDatabases, guest: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = postgres.new()
    request.addfinalizer(lambda: postgres.drop(url))

    fact = doctor_says(changed(url, username=guest, password=PASSWORD), tmp_path)

    assert f"permission denied for schema public; its owner can allow it with `GRANT ALL ON SCHEMA public TO {guest}`" in fact


def test_the_doctor_names_a_server_without_room(
    postgres: PostgresDatabases, guest: str, postgres_url: str, tmp_path: Path
) -> None:
    postgres.run(f"ALTER ROLE {guest} CONNECTION LIMIT 0")

    assert "no connection left" in doctor_says(changed(postgres_url, username=guest, password=PASSWORD), tmp_path)


def test_the_doctor_names_a_standby(postgres: PostgresDatabases, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = postgres.new()
    request.addfinalizer(lambda: postgres.drop(url))
    postgres.run(f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")

    assert "may only be read, so it is a standby" in doctor_says(url, tmp_path)


def test_the_doctor_names_a_server_that_is_too_old(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "MIN_VERSION", (99, 0))

    assert "and Timbre needs Postgres 99 or newer" in doctor_says(postgres_url, tmp_path)


def test_the_doctor_names_a_newer_schema(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()

    assert "a newer Timbre has made it (schema 9999)" in doctor_says(postgres_url, tmp_path)


@pytest.mark.slow
def test_a_host_that_does_not_answer_is_given_up_soon(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "CONNECT_TIMEOUT_S", 2)  # the least that libpq takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fact = doctor_says(changed(postgres_url, port=silent.getsockname()[1]), tmp_path)

    assert "the host does not answer" in fact


def test_the_doctor_shows_server_and_schema(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)

    description, damage = database.examine()

    database.close()
    assert description.startswith("Postgres 1") and description.endswith(f", schema {newest_revision()}")
    assert damage == ""


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_address_of_postgres_is_taken(postgres_url: str, scheme: str) -> None:
    database = Database(changed(postgres_url, drivername=scheme))

    database.migrate()

    assert ExchangeStore(database).verdict_counts() == {}
    database.close()


def test_times_are_utc_whatever_the_server_thinks(postgres: PostgresDatabases, postgres_url: str) -> None:
    postgres.run(f"ALTER DATABASE {make_url(postgres_url).database} SET timezone = 'Asia/Kolkata'")
    database = Database(postgres_url)

    with database.reading() as session:
        zone = session.connection().exec_driver_sql("SHOW timezone").scalar_one()

    database.close()
    assert zone == "UTC"


def test_a_reading_session_cannot_write(postgres_url: str) -> None:
    database = Database(postgres_url)

    with pytest.raises(DatabaseUnavailable), database.reading() as session:
        session.connection().exec_driver_sql("DELETE FROM audit")

    database.close()


def test_a_writer_does_not_wait_for_ever(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOCK_TIMEOUT_S", 0.1)
    database = Database(postgres_url)
    with database.writing() as session, ThreadPoolExecutor(1) as pool:
        session.connection()  # the transaction begins
        second = pool.submit(ExchangeStore(database).audit, "ann", "test", "x", {})
        with pytest.raises(DatabaseUnavailable, match="another process has been writing"):
            second.result()

    database.close()


def test_two_machines_that_share_a_database_share_the_ingestion_lock(postgres_url: str) -> None:
    here, there = Database(postgres_url), Database(postgres_url)

    with here.ingesting(), pytest.raises(CommandRejected, match="Another ingestion is running"), there.ingesting():
        pass

    with there.ingesting():
        pass
    here.close()
    there.close()


def test_a_lock_that_is_lost_passes_on_and_its_holder_stops_writing(postgres: PostgresDatabases, postgres_url: str) -> None:
    here, there = Database(postgres_url), Database(postgres_url)

    with ThreadPoolExecutor(1) as pool, here.ingesting():
        waiting = pool.submit(ingest_patiently, there)
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
            f"(SELECT oid FROM pg_database WHERE datname = '{make_url(postgres_url).database}')"
        )
        assert waiting.result(timeout=30) == "done"
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="restarted while the index was being written; try again"):
                ExchangeStore(here).audit("ann", "test", "x", {})

    ExchangeStore(here).audit("ann", "test", "x", {})
    here.close()
    there.close()


def ingest_patiently(database: Database) -> str:
    with database.ingesting(wait=True):
        return "done"


# A server that is killed in the middle of work

KILLS = 5
STEPS_BETWEEN_KILLS = 3
PATIENCE_S = 60.0


class Worker(threading.Thread):
    """Calls `step(0)`, `step(1)`, ... and notes which were acknowledged; what the database refused is not repeated."""

    def __init__(self, step: Callable[[int], None]) -> None:
        super().__init__()
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        self.is_over = threading.Event()
        self.error: BaseException | None = None
        self._step = step

    def run(self) -> None:
        number = 0
        try:
            while not self.is_over.is_set():
                self._try(number)
                number += 1
        except BaseException as err:  # shown by the test, which no thread can do
            self.error = err

    def _try(self, number: int) -> None:
        try:
            self._step(number)
            self.acknowledged.append(number)
        except DatabaseUnavailable:
            self.refused.append(number)
            self.is_over.wait(0.05)  # s; a person tries again; a loop would try thousands of times

    def make_progress(self, steps: int) -> None:
        """Returns when so many more steps were acknowledged."""
        wanted = len(self.acknowledged) + steps
        for _ in range(int(PATIENCE_S / 0.02)):
            if len(self.acknowledged) >= wanted or self.error:
                break
            self.is_over.wait(0.02)
        assert self.error is None and len(self.acknowledged) >= wanted, (self.error, wanted, len(self.acknowledged))


def exchange(number: int) -> Exchange:
    question = Question(f"Question {number}?", frozenset({"everyone"}), asked_by="ann")
    answer = Answer(Outcome.ANSWERED, f"Answer {number}.")
    return Exchange(ExchangeId(f"x{number}"), question, question.text, answer, [], [], 0.5, ReleaseId("base"), "none")


def is_stored(store: ExchangeStore, number: int) -> bool:
    found = store.get(ExchangeId(f"x{number}"))
    return found is not None and found.question == f"Question {number}?"


VERDICTS = (Verdict.HELPFUL, Verdict.NOT_HELPFUL)


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_work_loses_nothing_that_was_acknowledged(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    rng = random.Random(15)
    with private_postgres(tmp_path / "server") as server:
        database = Database(server.url())
        database.migrate()
        store, library = ExchangeStore(database), Library(database)
        store.add(exchange(-1))

        def judge(number: int) -> None:
            store.record(Feedback(ExchangeId("x-1"), VERDICTS[number % 2], "ann", reason=str(number)))

        def ingest(number: int) -> None:
            folder = write(
                {f"page-{number}.md": f"# Page {number}\n\nThe number is n{number}.", "all.md": f"# All\n\nNow n{number}."}
            )
            with database.ingesting():
                library.ingest(folder)

        workers = [Worker(lambda number: store.add(exchange(number))), Worker(judge), Worker(ingest)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(KILLS):
                for worker in workers:
                    worker.make_progress(STEPS_BETWEEN_KILLS)
                workers[0].is_over.wait(rng.uniform(0, 0.3))  # somewhere in the middle of a step
                server.kill_9()
                server.start()
            for worker in workers:
                worker.make_progress(STEPS_BETWEEN_KILLS)
        finally:
            for worker in workers:
                worker.is_over.set()
            for worker in workers:
                worker.join(PATIENCE_S)
        writer, judges, ingestion = workers

        assert [worker.error for worker in workers] == [None] * 3
        assert all(worker.refused for worker in workers)  # each was hit
        assert [number for number in writer.acknowledged if not is_stored(store, number)] == []
        check_verdicts(database, judges)
        check_pages(library, ingestion, tmp_path / "docs")
        database.close()


def check_verdicts(database: Database, judges: Worker) -> None:
    """Every acknowledged verdict was audited, and the newest that was audited is the one that counts."""
    with database.reading() as session:
        (row,) = session.exec(select(FeedbackRow)).all()
        audited = session.exec(select(AuditRow).where(AuditRow.action == "feedback").order_by(col(AuditRow.id))).all()
    reasons = [int(entry.details["reason"]) for entry in audited]
    assert set(judges.acknowledged) <= set(reasons) <= {*judges.acknowledged, *judges.refused}
    assert reasons == sorted(set(reasons))
    assert (row.reason, row.verdict) == (str(reasons[-1]), VERDICTS[reasons[-1] % 2])


def check_pages(library: Library, ingestion: Worker, folder: Path) -> None:
    """Every page that was acknowledged is found; the next run finishes what was left, and a new index holds the same."""
    lost = [n for n in ingestion.acknowledged if f"The number is n{n}." not in library.texts(f"n{n}")]
    library.ingest(folder)
    generation = library.index.live_generation()
    assert generation is not None
    count = library.index.count(generation)
    assert (lost, library.catalogue.waiting(), count) == ([], [], len(list(folder.iterdir())))
    assert library.rebuild() == count
