"""Folders that may be used no more, because somebody's data had to go: `retired.json` beside their files says why and when.

{"why": "it holds rows of a person whose data was erased", "at": "2026-11-21T22:00:00+00:00"}
"""

import json
import os
from datetime import datetime
from pathlib import Path

from training.folders import locked, sync

RETIRED = "retired.json"


def mark_retired(folder: Path, why: str, at: datetime) -> None:
    """Retires the folder for good; one that is retired already keeps its first reason."""
    if why_retired(folder):
        return
    with locked(folder.parent):
        unfinished = folder / f".{RETIRED}"
        unfinished.write_text(json.dumps({"why": why, "at": at.isoformat()}) + "\n", "utf-8")
        sync(unfinished)
        os.replace(unfinished, folder / RETIRED)
        sync(folder)


def why_retired(folder: Path) -> str:
    """Empty while the folder may be used."""
    path = folder / RETIRED
    return str(json.loads(path.read_text("utf-8"))["why"]) if path.exists() else ""
