"""What the benchmarks measured, as JSON files below `results/`, each with its date, cores and package versions."""

import json
import os
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("numpy", "onnxruntime", "tokenizers")


def write(name: str, measured: Mapping[str, Any], versions: Mapping[str, str] | None = None) -> Path:
    """Writes `results/NAME.json`; `versions` are those of packages in other environments."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    head = {"date": date.today().isoformat(), "cores": os.cpu_count()}
    own = {package: version(package) for package in PACKAGES}
    path.write_text(json.dumps({**head, "versions": own | dict(versions or {}), **measured}, indent=1) + "\n")
    return path
