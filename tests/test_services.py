"""`make services` and `make services-stop`, in a copy of the tree, so that the developer's own services are left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from scripts.servers import PostgresServer, Process, ServerFailed, WeaviatePorts, WeaviateServer, any_free_ports, find_postgres
from scripts.services import ROOT, WEAVIATE_BINARY, free_ports
from tests.servers import private_postgres, private_weaviate
from tests.services import require

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A tree with the scripts and Weaviate's program in it."""
    require(WEAVIATE_BINARY.exists() and find_postgres() is not None, "Weaviate's or Postgres' program")
    (tmp_path / ".services" / "bin").mkdir(parents=True)
    (tmp_path / ".services" / "bin" / "weaviate-server").symlink_to(WEAVIATE_BINARY)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def services(tree: Path, command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.services", command], cwd=tree, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes(tree: Path) -> list[int]:
    return [json.loads((tree / ".services" / f"{name}.pid").read_text())["pid"] for name in ("weaviate", "postgres")]


def settings(tree: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (tree / ".services.env").read_text().splitlines())


def count_tables(url: str, create: bool) -> int:
    engine = create_engine(url)
    with engine.begin() as connection:
        if create:
            connection.execute(text("CREATE TABLE kept (id int)"))
        found = connection.execute(text("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'")).scalar_one()
    engine.dispose()
    return int(found)


def test_services_start_once_survive_a_kill_and_stop(copy: Path) -> None:
    first_words = services(copy, "start")
    first, before = processes(copy), settings(copy)
    assert count_tables(before["TIMBRE_DATABASE_URL"], create=True) == 1

    services(copy, "start")
    second, after = processes(copy), settings(copy)
    for pid in second:
        os.kill(pid, signal.SIGKILL)
    services(copy, "start")
    third, tables = processes(copy), count_tables(settings(copy)["TIMBRE_DATABASE_URL"], create=False)
    last_words = services(copy, "stop")

    assert (second, after) == (first, before)
    assert third != second and tables == 1
    assert settings_are_private_and_secret(before, first_words)
    assert "Weaviate has stopped." in last_words and "Postgres has stopped." in last_words
    assert not any(Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in third)
    assert not (copy / ".services.env").exists()


def settings_are_private_and_secret(found: dict[str, str], words: str) -> bool:
    names = {"TIMBRE_INDEX__URL", "TIMBRE_INDEX__GRPC_PORT", "TIMBRE_INDEX__API_KEY", "TIMBRE_DATABASE_URL"}
    return set(found) == names and found["TIMBRE_INDEX__API_KEY"] not in words


def test_a_process_that_got_the_number_of_an_ended_one_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    (tmp_path / "server.pid").write_text(json.dumps({"pid": stranger.pid, "started": "1", "command": "sleep 60"}))

    was_running = Process(tmp_path, "server").stop(signal.SIGTERM)

    is_alive = stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert (was_running, is_alive) == (False, True)


def test_a_port_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    with private_postgres(tmp_path) as server:
        chosen = free_ports({"first": server.port, "second": server.port})

    assert server.port not in chosen.values() and len(set(chosen.values())) == 2


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with private_postgres(tmp_path / "first") as first:
        binaries = find_postgres()
        assert binaries
        second = PostgresServer(binaries, tmp_path / "second", first.port, "password")
        with pytest.raises(ServerFailed, match="Address already in use"):
            second.start()

    assert second.process.running() is None


def schema(server: WeaviateServer, collection: str = "") -> list[str]:
    """The names of the collections, after one was made."""
    headers = {"Authorization": f"Bearer {server.api_key}", "Content-Type": "application/json"}
    body = json.dumps({"class": collection}).encode() if collection else None
    request = urllib.request.Request(f"{server.url}/v1/schema", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    return [found["class"]] if collection else [each["class"] for each in found["classes"]]


def test_a_weaviate_that_was_killed_keeps_its_data_on_other_ports(tmp_path: Path) -> None:
    with private_weaviate(tmp_path) as server:
        assert schema(server, "Kept") == ["Kept"]
        server.kill_9()
        moved = WeaviateServer(WEAVIATE_BINARY, tmp_path, WeaviatePorts(*any_free_ports(6)), server.api_key)
        moved.start()
        try:
            assert schema(moved) == ["Kept"]
        finally:
            moved.stop()
