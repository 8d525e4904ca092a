"""Runs of the real `timbre` executable, each a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMBRE = Path(sys.executable).parent / "timbre"
EMBEDDING = Path(sys.prefix) / "share" / "timbre" / "models" / "all-MiniLM-L6-v2-onnx"


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a process that has these settings and no others."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    return {**variables, "TIMBRE_HOME": str(home), "COLUMNS": "200", **settings}


class Run:
    """What one run of `timbre` did. `err` has its lines joined: rich wraps sentences at 80 columns."""

    def __init__(self, home: Path, *arguments: str | Path, **settings: str) -> None:
        found = subprocess.run(
            [str(TIMBRE), *map(str, arguments)],
            env=environment(home, **settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.status, self.out, self.err = found.returncode, found.stdout, " ".join(found.stderr.split())

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


def refusal(run: Run) -> str:
    """The sentence on standard error of a run that failed as it should."""
    assert (run.status, "Traceback" in run.err, run.out) == (1, False, ""), (run.err, run.out)
    return run.err
