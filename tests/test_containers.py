"""The container image and the compose files agree with the rest of the tree and let nobody in."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import field_paths, variable
from scripts.services import WEAVIATE_MODULE

ROOT = Path(__file__).parent.parent
COMPOSE_FILES = sorted(ROOT.glob("compose*.yaml"))
_VARIABLE = re.compile(r"\$\{(\w+)(:?[-?])?")


def compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return dict(line.partition(" ")[0].split("==") for line in lines)


def test_the_image_holds_the_versions_that_the_tests_run_with() -> None:
    tested, shipped = pins("all.txt"), pins("image.txt")

    both = tested.keys() & shipped.keys()
    assert {name: shipped[name] for name in both} == {name: tested[name] for name in both}
    assert {"torch", "weaviate-client", "psycopg"} <= both


def test_the_pins_of_the_image_were_resolved_for_the_extras_that_it_installs() -> None:
    (resolved,) = (
        line for line in (ROOT / "requirements" / "README.md").read_text().splitlines() if "image.txt" in line and "uv" in line
    )

    installed = re.findall(r"--extra (\w+)", (ROOT / "Dockerfile").read_text())

    assert re.findall(r"--extra (\w+)", resolved) == installed


def test_docker_is_given_what_the_image_copies_and_nothing_else() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = {source for line in copies for source in line.split()}

    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_weaviate_and_postgres_can_be_reached_by_the_bot_only() -> None:
    production = compose("compose.yaml")

    networks = {name: service["networks"] for name, service in production["services"].items()}

    assert networks == {"bot": ["inner", "outer"], "chat": ["inner", "outer"], "weaviate": ["inner"], "postgres": ["inner"]}
    assert production["networks"]["inner"] == {"internal": True}
    assert [name for name, service in production["services"].items() if "ports" in service] == []


def test_services_for_tests_can_be_reached_from_this_machine_only() -> None:
    ports = [port for service in compose("compose.services.yaml")["services"].values() for port in service["ports"]]

    assert len(ports) == 3
    assert [port for port in ports if not fnmatch(port, "127.0.0.1:${*_PORT:-*}:*")] == []


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_refuses_to_start_without_a_secret(path: Path) -> None:
    secrets = [mode for name, mode in _VARIABLE.findall(path.read_text()) if re.search("KEY|PASSWORD", name)]

    assert set(secrets) <= {":?"}


def test_weaviate_wants_a_key() -> None:
    settings = compose("compose.yaml")["services"]["weaviate"]["environment"]

    assert settings["AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED"] == "false"
    assert settings["AUTHENTICATION_APIKEY_ENABLED"] == "true"
    assert settings["AUTHENTICATION_APIKEY_ALLOWED_KEYS"].startswith("${TIMBRE_INDEX__API_KEY:?")


def test_the_bot_is_given_settings_that_exist() -> None:
    known = {variable(path) for path, _ in field_paths()}

    services = compose("compose.yaml")["services"]

    assert [services[name]["environment"].keys() - known for name in ("bot", "chat")] == [set(), set()]


def test_the_example_names_every_variable_of_the_compose_file() -> None:
    wanted = {name for name, _ in _VARIABLE.findall((ROOT / "compose.yaml").read_text())}

    assert set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)) == wanted


def test_the_container_of_weaviate_is_the_version_that_is_built_for_tests() -> None:
    image = compose("compose.yaml")["services"]["weaviate"]["image"]

    assert image.partition(":")[2] == WEAVIATE_MODULE.partition("@v")[2]
