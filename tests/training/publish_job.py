"""A process for the kill tests: publishes folders 0, 1, 2, ... in a folder until it is killed, and says "started" first.

python -m tests.training.publish_job FOLDER
"""

import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from training.folders import publish

FILES, BYTES = 4, 50_000


def write(number: int, folder: Path) -> Mapping[str, int]:
    for name in range(FILES):
        (folder / f"{name}.bin").write_bytes(number.to_bytes(4, "big") * (BYTES // 4))
    return {"number": number}


def main(parent: Path) -> None:
    first = 1 + max((int(path.name) for path in parent.glob("[0-9]*")), default=-1)
    sys.stdout.write("started\n")
    sys.stdout.flush()
    for number in count(first):
        publish(parent / str(number), lambda folder, number=number: write(number, folder))  # type: ignore[misc]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
