"""A process for the kill tests: promotes two releases in turn and rolls back, until it is killed; says "started" first.

python -m tests.training.promote_job HOME RELEASE RELEASE
"""

import sys
from itertools import cycle
from pathlib import Path

from tests.training.loras import CARD, open_registry, write_lora


def main(home: str, *releases: str) -> None:
    registry = open_registry(Path(home))
    sys.stdout.write("started\n")
    sys.stdout.flush()
    for number, release in enumerate(cycle(releases)):
        registry.promote(release)
        registry.add(write_lora(Path(home) / "lora", number % 7), CARD)
        if number % 3 == 2:
            registry.rollback()


if __name__ == "__main__":
    main(*sys.argv[1:])
