"""The state of a fine-tune between two steps, in one file that is replaced as a whole: whole or absent after any kill.

safetensors, not pickles: a file that somebody else wrote runs no code when it is read.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]


@dataclass(frozen=True)
class LossPoint:
    """`loss`: mean negative log-likelihood a token of the completions, over the batch, or over the held-out rows."""

    step: int
    loss: float


@dataclass(frozen=True)
class LossCurve:
    """How the losses went. `best_step`: the step whose weights are the result."""

    train: Sequence[LossPoint] = ()
    validation: Sequence[LossPoint] = ()
    best_step: int = 0


@dataclass(frozen=True)
class Position:
    """`recipe_hash` names what the state belongs to: recipe and data. `step`: steps taken. `is_over`: no step is left."""

    recipe_hash: str
    step: int
    is_over: bool
    curve: LossCurve


def save(path: Path, position: Position, tensors: Tensors) -> None:
    """Replaces the file, synced. Raises OSError when the disk is full; the file before then stays."""
    from safetensors.torch import save as as_bytes

    write(path, as_bytes(dict(tensors), {"position": json.dumps(asdict(position))}))


def load(path: Path, recipe_hash: str) -> tuple[Position, Tensors] | None:
    """What `save` wrote, unless it belongs to another recipe or is broken."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            position = _position(json.loads(file.metadata()["position"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return (position, tensors) if position.recipe_hash == recipe_hash else None


def write(path: Path, content: bytes) -> None:
    """Replaces a file as a whole, synced."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def curve_of(value: Mapping[str, object]) -> LossCurve:
    """The inverse of `asdict`. Raises KeyError, TypeError."""
    train, validation = ([LossPoint(**point) for point in value[name]] for name in ("train", "validation"))  # type: ignore[attr-defined]
    return LossCurve(train, validation, int(value["best_step"]))  # type: ignore[call-overload]


def _position(value: Mapping[str, object]) -> Position:
    return Position(**{**value, "curve": curve_of(value["curve"])})  # type: ignore[arg-type]
