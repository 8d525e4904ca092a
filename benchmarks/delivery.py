"""What becomes of questions and clicks when much comes at once, the process is killed, events are repeated, a platform is away.

    python -m benchmarks.delivery [--platform slack discord] [--part burst kills shuffled outage lag] [--events N] [--kills N]

The real process `python -m bot serve` talks to the local Slack and Discord of the tests, whose ledgers judge; how is told in
tests/journeys/delivery.py. Results go to benchmarks/results/delivery.json; parts that do not run keep what stands there.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import results
from tests.journeys import delivery
from tests.journeys.towns import TOWNS

PARTS = ("burst", "kills", "shuffled", "outage", "lag")
PACKAGES = ("slack-bolt", "discord.py", "aiohttp")
EVENTS, BURST_S = 1000, 10.0
KILLS = 200
AWAY_S, AWAY_QUESTIONS = 600.0, 100
LAG_S = 120.0
SEED = 5

Run = Callable[[str, Path], Coroutine[Any, Any, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", nargs="+", choices=sorted(TOWNS), default=sorted(TOWNS), metavar="NAME")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="leave the other parts out")
    parser.add_argument("--events", type=int, default=EVENTS, metavar="N", help="of burst and shuffled")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="another one kills at other moments")
    parser.add_argument("--away", type=float, default=AWAY_S, metavar="SECONDS", help="how long the platform is away")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="keep there what the processes write, their logs too")
    options = parser.parse_args(arguments)
    for platform in options.platform:
        for part in options.part:
            with tempfile.TemporaryDirectory() as temporary:
                found = asyncio.run(_run(part, options)(platform, options.folder or Path(temporary)))
            write(platform, part, asdict(found))
            show(platform, part, asdict(found))


def _run(part: str, options: argparse.Namespace) -> Run:
    """The part as the options want it."""
    runs: dict[str, Run] = {
        "burst": lambda name, folder: delivery.burst(name, folder, options.events, BURST_S),
        "kills": lambda name, folder: delivery.kills(name, folder, options.kills, random.Random(options.seed)),
        "shuffled": lambda name, folder: delivery.shuffled(name, folder, options.events, random.Random(options.seed)),
        "outage": lambda name, folder: delivery.outage(name, folder, AWAY_QUESTIONS, options.away),
        "lag": lambda name, folder: delivery.lag(name, folder, LAG_S),
    }
    return runs[part]


def write(platform: str, part: str, found: Mapping[str, Any]) -> None:
    """Puts the part measured now in place of the one in the file."""
    file = results.RESULTS / "delivery.json"
    old = json.loads(file.read_text()) if file.exists() else {}
    platforms = {name: dict(old.get(name, {})) for name in sorted(TOWNS)}
    platforms[platform][part] = {"measured": date.today().isoformat(), **found}
    results.write("delivery", platforms, {package: version(package) for package in PACKAGES})


def show(platform: str, part: str, found: Mapping[str, Any]) -> None:
    """A line for each figure."""
    table = Table(title=f"{platform}: {part}", show_header=False)
    for name, value in {**found["account"], **found}.items():
        if name != "account":
            table.add_row(name, _shown(value))
    Console().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else "\n".join(value)


if __name__ == "__main__":
    main()
