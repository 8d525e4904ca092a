"""`ingest` and `reindex`, killed for real at random moments while another process asks all the time.

KILLS (per command and index) sets how many; `make faults` takes 50, so a hundred in all.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from knowledge.settings import IndexSettings

KILLS = int(os.environ.get("KILLS", "5"))
PAGES, PARTS = 70, 4  # 280 texts at first: enough for worker processes to embed
ROOT = Path(__file__).parents[2]


class Company:
    """A folder of pages whose text says which version they are, a TIMBRE_HOME and the processes that work on them."""

    def __init__(self, folder: Path, index: dict[str, str]) -> None:
        self.docs, self._temporary = folder / "docs", folder / "tmp"
        self.docs.mkdir()
        self._temporary.mkdir()
        own = {"TIMBRE_HOME": str(folder / "home"), "TMPDIR": str(self._temporary), **index}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
        self._environment = {**inherited, **own}
        self._versions = dict.fromkeys(range(PAGES), 0)
        for page in self._versions:
            self._write(page)

    def change(self, rng: random.Random) -> None:
        """A new version of a tenth of the pages."""
        for page in rng.sample(range(PAGES), PAGES // 10):
            self._versions[page] += 1
            self._write(page)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A process that has its parts together and begins with its work."""
        command = [sys.executable, "-m", "tests.journeys.kill_job", *arguments]
        job = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment, cwd=ROOT
        )  # fmt: skip
        assert job.stdout and job.stdout.readline() == "started\n"
        return job

    def run(self, *arguments: str) -> Any:
        """What a process reports that nobody disturbs."""
        with self.start(*arguments) as job:
            out, _ = job.communicate(timeout=300)
        assert job.returncode == 0
        return json.loads(out)

    def command(self, task: str) -> list[str]:
        return [task, str(self.docs)] if task == "ingest" else [task]

    def leftovers(self) -> list[str]:
        return [path.name for path in self._temporary.glob("timbre-parse-*")]

    def current(self) -> list[str]:
        """The pages' text as it should be found now."""
        return sorted(path.read_text() for path in self.docs.iterdir())

    def _write(self, page: int) -> None:
        version = self._versions[page]
        sections = [f"## Part {part}\n\npage{page} version {version} part {part} of {PARTS} ." for part in range(PARTS)]
        (self.docs / f"page-{page}.md").write_text("\n\n".join([f"# Page {page}", *sections]))


@pytest.fixture(params=["embedded", pytest.param("weaviate", marks=pytest.mark.service)])
def company(request: pytest.FixtureRequest, tmp_path: Path) -> Company:
    """On an index of each kind, chosen by the environment of its processes."""
    if request.param == "embedded":
        return Company(tmp_path, {})
    settings: IndexSettings = request.getfixturevalue("weaviate_settings")
    chosen = {"KIND": "weaviate", "URL": settings.url, "GRPC_PORT": str(settings.grpc_port), "NAME": settings.name}
    index = {f"TIMBRE_INDEX__{name}": value for name, value in chosen.items()}
    return Company(tmp_path, index | {"TIMBRE_INDEX__API_KEY": settings.api_key.get_secret_value()})


def kill_again_and_again(company: Company, task: str, kills: int) -> None:
    """Kills the task so many times, at a random moment of the time that it takes; that is learnt on the way."""
    rng, takes_s = random.Random(f"{task} {kills}"), 2.0
    while kills:
        company.change(rng)
        job, began = company.start(*company.command(task)), time.monotonic()
        try:
            job.communicate(timeout=rng.uniform(0, takes_s))
            takes_s = time.monotonic() - began
        except subprocess.TimeoutExpired:
            job.kill()
            job.communicate()
            kills -= 1
            takes_s *= 1.1


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ingest", "reindex"])
def test_a_reader_sees_whole_pages_only_however_often_the_writer_is_killed(company: Company, task: str) -> None:
    if task == "reindex":
        company.run(*company.command("ingest"))
    reader = company.start("read", str(PAGES))

    kill_again_and_again(company, task, KILLS)
    completed, again = company.run(*company.command(task)), company.run(*company.command(task))
    seen, _ = reader.communicate("stop\n", timeout=60)

    assert (completed["failures"], again["touched"], again["embedded"]) == ([], 0, 0)
    report = json.loads(seen)
    assert report["wrong"] == [] and report["asked"] > 0
    assert company.leftovers() == []
    chunks = PAGES * PARTS
    assert company.run("state") == {"files": company.current(), "chunks": chunks, "indexed": chunks, "waiting": 0}
    print(f"{task}: {KILLS} kills, {report['asked']} questions meanwhile, {report['pages']} pages seen")  # noqa: T201
