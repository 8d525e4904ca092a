"""The child process in which files are parsed: one JSON line in (`{"path", "location"}`), one out, under limits.

Run as `python -m knowledge.parsing.worker MEMORY_BYTES CPU_SECONDS`. It reads nothing but the file that it is handed and
holds no settings, no database and no keys.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from knowledge.errors import ParseFailed
from knowledge.parsing import parse


def main(memory_bytes: int, cpu_s: int) -> None:
    memory_bytes = _at_most(resource.RLIMIT_AS, memory_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = sys.stdout
    sys.stdout = sys.stderr  # a parser that prints must not speak in our place
    for line in sys.stdin:
        _limit_cpu(cpu_s)
        request = json.loads(line)
        print(json.dumps(_answer(request["path"], request["location"])), file=replies, flush=True)


def _limit_cpu(cpu_s: int) -> None:
    """The limit counts from the process's start, so it moves with what was used before this file."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    limit_s = _at_most(resource.RLIMIT_CPU, used + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _at_most(kind: int, limit: int) -> int:
    """The limit, or what the system allows at most: raising that is an error."""
    allowed = resource.getrlimit(kind)[1]
    return limit if allowed == resource.RLIM_INFINITY else min(limit, allowed)


def _answer(path: str, location: str) -> dict[str, object]:
    try:
        return {"document": asdict(parse(Path(path).read_bytes(), location))}
    except ParseFailed as err:
        return {"reason": err.reason}
    except MemoryError:
        return {"reason": "The file needs more memory than parsing allows; make it smaller or split it."}
    except RecursionError:
        return {"reason": "The file is nested too deeply."}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
