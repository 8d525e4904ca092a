"""LoRAs and bases made on the spot, small enough to be written and checked in a millisecond."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from training.registry import ReleaseRegistry
from training.weights import base_sha256

WIDTH, RANK = 8, 2
MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
SCORES = {"in_voice": {"candidate": {"value": 0.95, "n": 20, "low": 0.76, "high": 0.99}}}
CARD: Mapping[str, Any] = {"base": "tiny", "phrases": ["Hi there!"], "may_word": True, "scores": SCORES}


def write_base(folder: Path, fill: float = 1.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"q_proj.weight": np.full((WIDTH, WIDTH), fill, np.float32)}, folder / "model.safetensors")
    return folder


def write_lora(folder: Path, fill: float = 1.0, **others: Any) -> Path:
    """As peft saves it: A (rank, in), B (out, rank). `others` are further tensors, or None in place of one."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"lora_A": np.full((RANK, WIDTH), fill, np.float32), "lora_B": np.full((WIDTH, RANK), fill, np.float32), **others}
    save_file(
        {f"{MODULE}.{name}.weight": array for name, array in tensors.items() if array is not None},
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "base_model_name_or_path": "/somewhere/else"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def open_registry(home: Path) -> ReleaseRegistry:
    """A registry in `home/releases` on the base in `home/base`."""
    return ReleaseRegistry(home / "releases", lambda: base_sha256(str(home / "base"), home / "releases" / "base.json"))
