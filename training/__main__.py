"""`python -m training RUN_FOLDER [--json]`: one run in a process of its own, which steps back behind everything else."""

import argparse
import json
import logging
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

NICENESS = 19
OOM_SCORE = "500"  # of 1000: when memory is short, the kernel ends this process and not the one that answers


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 when the run went as far as it should, 1 when it failed or was refused, 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("folder", type=Path, help="a run folder, made by `timbre train run`")
    parser.add_argument("--json", action="store_true", help="print the status as JSON at the end")
    options = parser.parse_args(arguments)
    from training import runs
    from training.errors import RunRefused

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        request = runs.read(options.folder).request
        step_back(request.threads, request.budget.memory_mb)
        from training import pipeline  # imports no torch before the threads are set

        status = pipeline.run(options.folder)
    except RunRefused as err:
        sys.stderr.write(f"{err}\n")
        return 2
    sys.stdout.write(f"{json.dumps(asdict(status)) if options.json else f'{status.state} {status.why}'.strip()}\n")
    return int(status.state in ("failed", "refused"))


def step_back(threads: int, memory_mb: int) -> None:
    """Takes the lowest priority, few threads, and no more memory than given (0: no limit)."""
    os.nice(NICENESS)
    with suppress(OSError):  # not everywhere may a process say so
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 2**20, memory_mb * 2**20))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
