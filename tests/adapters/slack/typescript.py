"""Recorded calls against Slack's own TypeScript types: each call becomes a typed constant, and `tsc` says what is wrong with it.

Finds misspelt or missing fields of blocks and arguments, and plain_text where mrkdwn is wanted; knows nothing of lengths
(`blocks.py` does). The types come from npm, at the versions of `typescript/package.json`."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from tests.adapters.slack.slack import Call

FOLDER = Path(__file__).parent / "typescript"
MODULES = FOLDER / "node_modules"
COMPILER = MODULES / ".bin" / "tsc"
OPTIONS = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--moduleResolution",
    "nodenext",
    "--target",
    "es2022",
]
NOT_OF_THE_METHOD = {"team_id"}  # sent by bolt with every call; types know it only where it means something
ERROR = re.compile(r"^.*\.ts\((\d+),\d+\): error TS\d+: (.*)$")


def install() -> str | None:
    """Installs the types where they are missing; what is in the way, if anything."""
    if COMPILER.exists():
        return None
    if not shutil.which("npm"):
        return "Node with npm is not installed"
    done = subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit"], cwd=FOLDER, capture_output=True, text=True, timeout=300
    )
    return None if done.returncode == 0 else f"npm could not install the types: {done.stderr.strip()[-200:]}"


def check_types(calls: Sequence[Call]) -> list[str]:
    """What the compiler says of the calls, "METHOD: sentence"; empty when all is well. Equal calls are checked once."""
    lines = dict.fromkeys(_constant(call) for call in calls)
    names = sorted({line.split(": ", 1)[1].split(" = ", 1)[0] for line in lines})
    source = [f"import type {{ {', '.join(names)} }} from '@slack/web-api';"]
    source += [f"export const call{number}{line}" for number, line in enumerate(lines)]
    folder = MODULES / ".calls"
    folder.mkdir(exist_ok=True)
    file = folder / f"{uuid4().hex}.ts"
    file.write_text("\n".join(source) + "\n")
    try:
        done = subprocess.run([COMPILER, *OPTIONS, str(file)], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    finally:
        file.unlink()
    found = [match for line in done.stdout.splitlines() if (match := ERROR.match(line))]
    assert bool(found) == (done.returncode != 0), done.stdout + done.stderr
    return [f"{_type_at(source, int(match[1]))}: {match[2]}" for match in found]


def _constant(call: Call) -> str:
    arguments = {name: value for name, value in call.arguments.items() if name not in NOT_OF_THE_METHOD}
    return f": {type_name(call.method)} = {json.dumps(arguments)};"


def type_name(method: str) -> str:
    """chat.postMessage -> ChatPostMessageArguments"""
    words = [word[0].upper() + word[1:] for word in method.split(".")]
    return ("OAuth" if words[0] == "Oauth" else words[0]) + "".join(words[1:]) + "Arguments"


def _type_at(source: list[str], line: int) -> str:
    return source[line - 1].split(": ", 1)[1].split(" = ", 1)[0] if line > 1 else source[0]
