"""Where the servers of `make services` are."""

from pathlib import Path

from pydantic import SecretStr

from knowledge.settings import IndexSettings

SERVICES = Path(__file__).parent.parent / ".services.env"


def weaviate_settings(name: str) -> IndexSettings:
    """The Weaviate of `make services`, with `name` for alias and collections. Ends the program when none was started."""
    if not SERVICES.exists():
        raise SystemExit("This needs Weaviate; run `make services` first.")
    found = dict(line.split("=", 1) for line in SERVICES.read_text().splitlines() if "=" in line)
    return IndexSettings(
        kind="weaviate",
        url=found["TIMBRE_INDEX__URL"],
        grpc_port=int(found["TIMBRE_INDEX__GRPC_PORT"]),
        api_key=SecretStr(found["TIMBRE_INDEX__API_KEY"]),
        name=name,
    )
