"""`make services` and `make services-stop`: the Weaviate and the Postgres that the integration tests talk to.

Both run as processes of whoever calls it, with their data under `.services/`, or in containers where they cannot be installed.
How to reach them is written to `.services.env`. A second call changes nothing. Needs no package but Python's own library.
"""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scripts.servers import (
    HOST,
    PostgresServer,
    ServerFailed,
    WeaviatePorts,
    WeaviateServer,
    find_postgres,
    is_free,
    postgres_url,
    private_file,
)

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".services"
ENV_FILE = ROOT / ".services.env"
COMPOSE_FILE = ROOT / "compose.services.yaml"

WEAVIATE_MODULE = "github.com/weaviate/weaviate/cmd/weaviate-server@v1.39.0"
WEAVIATE_BINARY = FOLDER / "bin" / "weaviate-server"
MIN_GO = (1, 26)
DEFAULT_PORTS = WeaviatePorts(rest=8080, grpc=50051, gossip=7946, data=7947, raft=8300, raft_rpc=8301)
DEFAULT_POSTGRES_PORT = 5432
SECRET_BYTES = 24
PROGRESS_S = 15.0
HAS_PROC = Path("/proc/self").exists()  # what tells our processes from strangers'

INSTALL_WEAVIATE = (
    "Weaviate is missing: install Go 1.26 or newer, or Docker with its compose plugin, then run `make services` again."
)
INSTALL_POSTGRES = (
    "Postgres is missing: install Debian's package (`sudo apt-get install postgresql`), or Docker with its compose plugin, "
    "then run `make services` again."
)


@dataclass(frozen=True)
class State:
    """What has to stay as it is from one call to the next. `containers` names the services that docker compose runs."""

    weaviate: WeaviatePorts
    postgres_port: int
    api_key: str
    password: str
    containers: tuple[str, ...] = ()

    @property
    def weaviate_url(self) -> str:
        return f"http://{HOST}:{self.weaviate.rest}"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "TIMBRE_INDEX__URL": self.weaviate_url,
            "TIMBRE_INDEX__GRPC_PORT": str(self.weaviate.grpc),
            "TIMBRE_INDEX__API_KEY": self.api_key,
            "TIMBRE_DATABASE_URL": postgres_url(self.password, self.postgres_port),
        }


def main(arguments: list[str]) -> int:
    commands = {"start": start, "stop": stop}
    if len(arguments) != 1 or arguments[0] not in commands:
        say("usage: python3 -m scripts.services start|stop")
        return 2
    try:
        with lock():
            commands[arguments[0]]()
    except ServerFailed as err:
        say(str(err))
        return 1
    return 0


def start() -> None:
    state = read_state() or new_state()
    state = start_postgres(state, find_postgres() or install_postgres())
    state = start_weaviate(state, WEAVIATE_BINARY if install_weaviate() else None)
    write_env(state)
    say(f"Weaviate is ready at {state.weaviate_url}, gRPC on port {state.weaviate.grpc}.")
    say(f"Postgres is ready at {HOST}:{state.postgres_port}.")
    say(f"Key, password and addresses are in {ENV_FILE.name} as settings; `make test` finds them there.")
    say(f"To use them yourself: set -a; . ./{ENV_FILE.name}; set +a")
    say("`make services-stop` stops both; their data stays in .services/.")


def stop() -> None:
    state = read_state()
    if state is None:
        say("Nothing was started here.")
        return
    weaviate, postgres = WeaviateServer(WEAVIATE_BINARY, FOLDER, state.weaviate, ""), PostgresServer(Path(), FOLDER, 0, "")
    for name, was_running in (("Weaviate", weaviate.stop()), ("Postgres", postgres.stop())):
        if was_running:
            say(f"{name} has stopped.")
    if state.containers:
        compose(state, "stop", *state.containers)
        say(f"The containers have stopped: {', '.join(state.containers)}.")
    ENV_FILE.unlink(missing_ok=True)


# Weaviate


def start_weaviate(state: State, binary: Path | None) -> State:
    if binary is None:
        return start_container(state, "weaviate", with_free_weaviate_ports, INSTALL_WEAVIATE)
    server = WeaviateServer(binary, FOLDER, state.weaviate, state.api_key)
    if server.process.running() is None:
        state = with_free_weaviate_ports(state)
        write_state(state)
        say("Starting Weaviate; it takes about ten seconds ...")
        server = WeaviateServer(binary, FOLDER, state.weaviate, state.api_key)
    server.start()
    return state


def install_weaviate() -> bool:
    """Whether the binary is there now; it is compiled once."""
    if WEAVIATE_BINARY.exists():
        return True
    if not (HAS_PROC and go_version() >= MIN_GO):
        return False
    say("Compiling Weaviate with Go, once; it takes about two minutes on two cores ...")
    log = FOLDER / "build.log"
    environment = os.environ | {"GOBIN": str(WEAVIATE_BINARY.parent)}
    with log.open("wb") as output:
        build = subprocess.Popen(["go", "install", WEAVIATE_MODULE], env=environment, stdout=output, stderr=output, cwd=FOLDER)
        began = time.monotonic()
        while build.poll() is None:
            try:
                build.wait(PROGRESS_S)
            except subprocess.TimeoutExpired:
                say(f"  still compiling after {time.monotonic() - began:.0f} s")
    if build.returncode:
        raise ServerFailed(f"Weaviate cannot be compiled. The end of {log}:\n{log.read_text()[-2000:]}")
    return True


def go_version() -> tuple[int, ...]:
    """The version of Go, such as (1, 26); (0,) where there is none."""
    if shutil.which("go") is None:
        return (0,)
    told = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd=FOLDER).stdout
    major_minor = told.strip().removeprefix("go").split(".")[:2]
    return tuple(int(part) for part in major_minor) if all(part.isdigit() for part in major_minor) else (0,)


# Postgres


def start_postgres(state: State, binaries: Path | None) -> State:
    if binaries is None:
        return start_container(state, "postgres", with_free_postgres_port, INSTALL_POSTGRES)
    server = PostgresServer(binaries, FOLDER, state.postgres_port, state.password)
    if server.process.running() is None:
        state = with_free_postgres_port(state)
        write_state(state)
        say("Starting Postgres ...")
        server = PostgresServer(binaries, FOLDER, state.postgres_port, state.password)
    server.start()
    return state


def install_postgres() -> Path | None:
    """Installs Debian's package as root; the folder with the binaries, None where that is not possible."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    say("Installing Postgres with apt-get ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "--quiet=2"], ["install", "--quiet=2", "--yes", "--no-install-recommends", "postgresql"]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"  apt-get {command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return find_postgres()


# Containers


def start_container(state: State, service: str, with_free_ports: Callable[[State], State], otherwise: str) -> State:
    """Starts the service of compose.services.yaml and waits for its health. Raises ServerFailed(otherwise) without Docker."""
    if not has_compose():
        raise ServerFailed(otherwise)
    if service not in state.containers:
        state = replace(with_free_ports(state), containers=(*state.containers, service))
        write_state(state)
    say(f"Starting the container of {service}; the first time its image is fetched ...")
    compose(state, "up", "--detach", "--wait", service)
    return state


def has_compose() -> bool:
    if shutil.which("docker") is None or not COMPOSE_FILE.exists():
        return False
    checks = (["docker", "compose", "version"], ["docker", "info"])
    return all(subprocess.run(check, capture_output=True, check=False).returncode == 0 for check in checks)


def compose(state: State, *arguments: str) -> None:
    variables = {
        "TIMBRE_INDEX__API_KEY": state.api_key,
        "POSTGRES_PASSWORD": state.password,
        "WEAVIATE_PORT": str(state.weaviate.rest),
        "WEAVIATE_GRPC_PORT": str(state.weaviate.grpc),
        "POSTGRES_PORT": str(state.postgres_port),
    }
    command = ["docker", "compose", "--file", str(COMPOSE_FILE), *arguments]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"`docker compose {' '.join(arguments)}` failed: {done.stderr.strip()[-2000:]}")


# What is kept from call to call


def new_state() -> State:
    return State(DEFAULT_PORTS, DEFAULT_POSTGRES_PORT, secrets.token_hex(SECRET_BYTES), secrets.token_hex(SECRET_BYTES))


def read_state() -> State | None:
    path = FOLDER / "state.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    return State(**{**values, "weaviate": WeaviatePorts(**values["weaviate"]), "containers": tuple(values["containers"])})


def write_state(state: State) -> None:
    write_private(FOLDER / "state.json", json.dumps(asdict(state), indent=2))


def write_env(state: State) -> None:
    write_private(ENV_FILE, "".join(f"{name}={value}\n" for name, value in state.settings.items()))


def write_private(path: Path, text: str) -> None:
    """Writes a file for its owner only, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.new")
    with private_file(unfinished) as file:
        file.write(text)
    unfinished.replace(path)


def with_free_weaviate_ports(state: State) -> State:
    return replace(state, weaviate=WeaviatePorts(**free_ports(asdict(state.weaviate))))


def with_free_postgres_port(state: State) -> State:
    return replace(state, postgres_port=free_ports({"postgres": state.postgres_port})["postgres"])


def free_ports(wanted: dict[str, int]) -> dict[str, int]:
    """The wanted ports, or for those that are taken the next free ones, all different."""
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        while port in chosen.values() or not is_free(port):
            port += 1
        chosen[name] = port
    return chosen


@contextmanager
def lock() -> Iterator[None]:
    """One `make services` at a time."""
    FOLDER.mkdir(exist_ok=True, mode=0o700)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
