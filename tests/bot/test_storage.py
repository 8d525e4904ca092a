"""The database: schema, encryption, concurrency and what is said when it cannot be used."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from statistics import median

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

import knowledge.tables  # noqa: F401  # fills SQLModel.metadata with the other half of the tables
from bot.errors import CommandRejected, DatabaseUnavailable
from bot.storage import database as database_module
from bot.storage.database import Database, newest_revision, sqlite_url
from bot.storage.exchanges import ExchangeStore, WordingEvaluation

SECRET = "Zanzibar-marzipan"


def migrated(path: Path, key: str | None = None) -> Database:
    return migrated_at(sqlite_url(path), key)


def migrated_at(url: str, key: str | None = None) -> Database:
    database = Database(url, key)
    database.migrate()
    return database


def tables(database: Database) -> set[str]:
    with database.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version", "sqlite_sequence"}


def audit_count(database: Database) -> int:
    with database.reading() as session:
        return int(session.connection().execute(text("SELECT count(*) FROM audit")).scalar_one())


@pytest.mark.slow
@pytest.mark.both_databases
def test_the_migrations_make_what_the_tables_say(new_database_url: str) -> None:
    database = migrated_at(new_database_url)

    with database.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)

    database.close()
    assert differences == []


@pytest.mark.slow
@pytest.mark.both_databases
def test_the_schema_goes_down_to_nothing_and_up_again(new_database_url: str) -> None:
    database = migrated_at(new_database_url)
    everything = tables(database)

    database.downgrade("base")
    nothing = tables(database)
    database.migrate()

    assert (nothing, tables(database)) == (set(), everything)
    assert everything == set(SQLModel.metadata.tables)
    database.close()


@pytest.mark.both_databases
def test_a_database_of_a_newer_timbre_is_refused_in_a_sentence(database: Database) -> None:
    with database.writing() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseUnavailable, match=r"a newer Timbre has made it \(schema 9999\); install that version"):
        database.migrate()


@pytest.mark.both_databases
def test_migrating_twice_changes_nothing(database: Database) -> None:
    ExchangeStore(database).audit("ann", "test", "x", {})

    database.migrate()

    with database.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == newest_revision()
    assert audit_count(database) == 1


@pytest.mark.slow
def test_an_encrypted_database_holds_no_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "timbre.db"
    database = migrated(path, "it's a key")
    ExchangeStore(database).audit("ann", "test", SECRET, {})

    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # with the write-ahead log

    assert audit_count(database) == 1
    database.close()
    assert SECRET.encode() not in written
    assert b"SQLite format" not in written


def test_an_open_database_would_have_shown_it(database: Database, tmp_path: Path) -> None:
    ExchangeStore(database).audit("ann", "test", SECRET, {})

    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())

    assert SECRET.encode() in written


@pytest.mark.slow
@pytest.mark.parametrize("key", ["wrong", None])
def test_a_wrong_key_is_told_in_a_sentence(tmp_path: Path, key: str | None) -> None:
    migrated(tmp_path / "timbre.db", "right").close()

    with pytest.raises(DatabaseUnavailable, match="TIMBRE_DATABASE_KEY is not the key that it was made with"):
        migrated(tmp_path / "timbre.db", key)

    migrated(tmp_path / "timbre.db", "right").close()


def test_a_key_for_an_open_database_is_told_in_a_sentence(migrated_file: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="TIMBRE_DATABASE_KEY"):
        migrated(migrated_file, "key")


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "timbre.db").write_text("just a text, but long enough to be a page header of a database file\n" * 50)

    with pytest.raises(DatabaseUnavailable, match="it is no Timbre database"):
        migrated(tmp_path / "timbre.db")


def test_a_folder_that_does_not_exist_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="check that the folder exists"):
        migrated(tmp_path / "no" / "timbre.db")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysterysql://host/db",
        "postgresql://ann:hunter2@localhost:1/timbre",
        "postgresql://ann:hunter2/3@localhost/timbre",
        "postgresql://ann:5@host:hunter2@localhost/timbre",
        "postgresql://localhost:1/timbre?user=ann&password=hunter2",
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        migrated_at(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://ann:hunter2@localhost/timbre", "postgresql://ann:hunter2@localhost/timbre"]
)
def test_postgres_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(DatabaseUnavailable, match=r"needs `pip install 'timbre-bot\[postgres\]'`\.$") as caught:
        Database(url)

    assert "hunter2" not in str(caught.value)


def test_a_database_that_may_not_be_written_to_is_told_in_a_sentence(migrated_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    path = folder / "timbre.db"
    path.write_bytes(migrated_file.read_bytes())
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        if os.access(path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(DatabaseUnavailable, match="check"):
            ExchangeStore(Database(sqlite_url(path))).audit("ann", "test", "x", {})
    finally:
        folder.chmod(0o700)


def test_a_writer_that_waits_too_long_says_what_to_do_and_the_next_one_writes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.storage.sqlite.BUSY_TIMEOUT_S", 0.05)
    impatient = ExchangeStore(Database(str(database.url)))

    with database.writing() as session:
        session.connection()  # the lock is taken with the first statement
        with pytest.raises(DatabaseUnavailable, match=r"another process has been writing to it for .*; let it finish or end it"):
            impatient.audit("ann", "test", "x", {})
        seen_meanwhile = audit_count(database)
    impatient.audit("ann", "test", "x", {})

    assert (seen_meanwhile, audit_count(database)) == (0, 1)


@pytest.mark.parametrize(("start", "reason"), [(0, "it is no Timbre database"), (3 * 4096, "it is damaged; restore it")])
def test_a_damaged_file_is_told_in_a_sentence(migrated_file: Path, tmp_path: Path, start: int, reason: str) -> None:
    data, path = migrated_file.read_bytes(), tmp_path / "timbre.db"
    path.write_bytes(data[:start] + b"\xaa" * (len(data) - start))

    with pytest.raises(DatabaseUnavailable, match=reason):
        ExchangeStore(Database(sqlite_url(path))).audit("ann", "test", "x", {})


def test_commits_are_safe_and_foreign_keys_hold(database: Database) -> None:
    with database.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2 is FULL


@pytest.mark.both_databases
def test_a_block_that_fails_writes_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        session.connection().execute(text("INSERT INTO wording_evaluation VALUES ('r', '2026-01-01', 1, 1, 1, 1)"))
        raise ZeroDivisionError

    assert ExchangeStore(database).wording_evaluation("r") is None


@pytest.mark.both_databases
def test_threads_that_write_at_once_lose_nothing(database: Database) -> None:
    store = ExchangeStore(database)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.audit(f"thread-{n % 8}", "test", str(n), {}), range(64)))

    assert audit_count(database) == 64


WRITER = """
import sys
from bot.storage.database import Database
from bot.storage.exchanges import ExchangeStore
store = ExchangeStore(Database(sys.argv[1]))
for n in range(40):
    store.audit("process", "test", str(n), {})
"""


@pytest.mark.slow
@pytest.mark.both_databases
def test_processes_that_write_at_once_lose_nothing(database: Database, database_url: str) -> None:
    command = [sys.executable, "-c", WRITER, database_url]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]

    errors = [writer.communicate(timeout=60)[1] for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0], errors
    assert audit_count(database) == 80


@pytest.mark.slow
@pytest.mark.both_databases
def test_processes_that_open_a_new_database_at_once_agree(new_database_url: str) -> None:
    code = "import sys; from bot.storage.database import Database; Database(sys.argv[1]).migrate()"
    command = [sys.executable, "-c", code, new_database_url]
    openers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]

    errors = [opener.communicate(timeout=60)[1] for opener in openers]

    assert [opener.returncode for opener in openers] == [0, 0, 0], errors


HOLDER = """
import sys
from bot.storage.database import Database
with Database(sys.argv[1]).ingesting():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.both_databases
def test_the_right_to_ingest_is_free_again_when_its_holder_is_killed(database: Database, database_url: str) -> None:
    command = [sys.executable, "-c", HOLDER, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(CommandRejected, match="Another ingestion is running"), database.ingesting():
            pass
        holder.kill()

    with database.ingesting(wait=True):
        pass


@pytest.mark.both_databases
def test_a_reader_does_not_wait_for_a_writer_and_sees_one_state(database: Database) -> None:
    store = ExchangeStore(database)
    store.audit("ann", "test", "before", {})
    is_writing, may_end = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with database.writing() as session:
            session.connection().execute(text("DELETE FROM audit"))
            is_writing.set()
            assert may_end.wait(30)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write_slowly)
        assert is_writing.wait(30)
        during = audit_count(database)
        may_end.set()
        writer.result()

    assert (during, audit_count(database)) == (1, 0)


@pytest.mark.both_databases
def test_a_reading_session_keeps_its_state_while_others_write(database: Database) -> None:
    store = ExchangeStore(database)
    store.put_wording_evaluation(WordingEvaluation("r", 1, 1, 0.1, 0.1))
    query = text("SELECT right_share FROM wording_evaluation")

    with database.reading() as session:
        first = session.connection().execute(query).scalar()
        store.put_wording_evaluation(WordingEvaluation("r", 1, 1, 0.9, 0.9))
        second = session.connection().execute(query).scalar()

    assert (first, second) == (0.1, 0.1)
    assert store.wording_evaluation("r") == WordingEvaluation("r", 1, 1, 0.9, 0.9)


@pytest.mark.slow
def test_a_writer_goes_on_as_soon_as_the_one_before_it_is_done(database: Database) -> None:
    """SQLite itself looks only every 100 ms, and lets whoever comes just then go first: some waited for seconds."""
    delays = []
    for _ in range(7):
        done_at, begun_at = Queue[float](), Queue[float]()
        waiting = threading.Thread(target=_note_when_writing, args=(database, begun_at))
        with database.writing() as session:
            session.connection()  # the lock is taken with the first statement
            waiting.start()
            time.sleep(0.25)  # no synchronisation: the longer it takes, the more rarely SQLite looks
            done_at.put(time.monotonic())
        waiting.join()
        delays.append(begun_at.get() - done_at.get())

    assert median(delays) < 0.02


def _note_when_writing(database: Database, begun_at: "Queue[float]") -> None:
    with database.writing() as session:
        session.connection()
        begun_at.put(time.monotonic())


def test_a_writer_of_a_file_does_not_wait_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "TURN_TIMEOUT_S", 0.05)

    with database.writing(), ThreadPoolExecutor(1) as pool:
        second = pool.submit(ExchangeStore(database).audit, "ann", "test", "x", {})
        with pytest.raises(DatabaseUnavailable, match="has been writing for"):
            second.result()
