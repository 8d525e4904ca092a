"""Fuzzes one kind of file: `python -m tests.fuzz KIND SECONDS`; needs requirements/fuzz.txt (`make fuzz` does it all).

What breaks a promise is kept in .timbre-fuzz/KIND/findings, each distinct failure once, and the run goes on; the exit status says
whether there was one. At the end the inputs that reach something of their own are put into tests/fuzz/corpus.
"""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.seeds import ENDINGS, keep, seeds

WORK = Path(__file__).parents[2] / ".timbre-fuzz"
WORDS = Path(__file__).parent / "words"
MAX_INPUT_BYTES = 40_000
TIMEOUT_S = 25  # instrumented code is some times slower than what the sandbox gives 30 s
MEMORY_MB = 3000  # of the whole fuzzer; the sandbox gives a parser 1024
KEPT_BYTES = 150_000  # a kind's corpus, before compression


def main(kind: str, seconds: int) -> int:
    """Runs the fuzzer until the time is up, again after each hang; the number of findings is the exit status, 100 at most."""
    folder = WORK / kind
    for name in ("corpus", "findings", "merged"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for data in [*seeds(kind), *_take_findings(folder)]:
        (folder / "corpus" / hashlib.sha256(data).hexdigest()).write_bytes(data)
    deadline = time.monotonic() + seconds
    while (left := int(deadline - time.monotonic())) > 0:
        if _libfuzzer(kind, f"-max_total_time={left}", f"-dict={WORDS / kind}.dict", str(folder / "corpus")) == 0:
            break
    for leftover in (folder / "merged").iterdir():
        leftover.unlink()
    _libfuzzer(kind, "-merge=1", str(folder / "merged"), str(folder / "corpus"))
    keep(kind, _smallest(folder))
    found = _findings(folder)
    print(f"{kind}: {len(found)} findings in {folder / 'findings'}", *(path.name for path in found), sep="\n  ")
    return min(len(found), 100)


def _findings(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "findings").iterdir() if path.suffix != ".txt")


def _take_findings(folder: Path) -> list[bytes]:
    """The findings of the run before, which are seeds of this one and findings only if they still are."""
    found = [path.read_bytes() for path in _findings(folder)]
    for path in (folder / "findings").iterdir():
        path.unlink()
    return found


def _libfuzzer(kind: str, *options: str) -> int:
    limits = [f"-max_len={MAX_INPUT_BYTES}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    findings = WORK / kind / "findings"
    command = [sys.executable, "-m", "tests.fuzz.target", kind, str(findings), *limits, f"-artifact_prefix={findings}/", *options]
    return subprocess.run(command, check=False).returncode


def _smallest(folder: Path) -> list[bytes]:
    """The findings, and of the inputs that the merge has chosen as many as fit, small ones first."""
    chosen = [path.read_bytes() for path in _findings(folder)]
    for data in sorted((path.read_bytes() for path in (folder / "merged").iterdir()), key=lambda data: (len(data), data)):
        if sum(map(len, chosen)) + len(data) > KEPT_BYTES:
            break
        chosen.append(data)
    return chosen


if __name__ == "__main__":
    if sys.argv[1] not in ENDINGS or len(sys.argv) != 3:
        sys.exit(f"Usage: python -m tests.fuzz {{{','.join(ENDINGS)}}} SECONDS")
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
