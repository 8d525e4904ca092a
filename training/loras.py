"""Several LoRAs on one loaded model, of which one is active, or none. Reads what peft saves; knows nothing of releases.

A hook on each linear module adds its part, so that loading is reading a file and switching is one assignment. peft itself walks
the whole model several times for either (210 modules: 3.5 million calls, 0.2 s alone and 2 s beside other work, while which no
answer goes on). What is computed is the same: W x + (alpha / r) B A x (Hu et al. 2021, section 4.1).
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import ReleaseUnusable

if TYPE_CHECKING:
    import torch

MAX_LOADED = 4  # of some MB each: current, canary, previous, and one that is tried
PREFIX, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_UNKNOWN = ("use_dora", "use_rslora", "use_qalora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out")

Pair = tuple["torch.Tensor", "torch.Tensor"]
"""A (in, r), and B (r, out) with the scale in it."""


class Loras:
    """The LoRAs of one model, by the folder that peft saved. Not safe for threads."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._loaded: OrderedDict[Path, Mapping[str, Pair]] = OrderedDict()
        self._active: Mapping[str, Pair] = {}
        self._hooked: set[str] = set()

    def load(self, folder: Path) -> None:
        """Reads it where it is not loaded, in place of the one that was not active for longest where there are too many.

        Raises ReleaseUnusable when it does not fit the model.
        """
        if folder not in self._loaded:
            pairs = self._read(folder)
            self._hook(pairs)
            self._loaded[folder] = pairs
        self._loaded.move_to_end(folder)
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)

    def activate(self, folder: Path | None) -> None:
        """Lets it, and no other, change what the model says; None: the model alone. Raises ReleaseUnusable."""
        if folder is not None:
            self.load(folder)
        self._active = self._loaded[folder] if folder is not None else {}

    def _read(self, folder: Path) -> dict[str, Pair]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / "adapter_config.json").read_text())
            scale = _scale(config)
            weights = load_file(folder / "adapter_model.safetensors")
            names = {name.removeprefix(PREFIX).removesuffix(A).removesuffix(B) for name in weights}
            pairs = {name: (weights.pop(PREFIX + name + A), weights.pop(PREFIX + name + B) * scale) for name in names}
            if weights:
                raise ValueError(f"unknown weights such as {min(weights)}")
            return {name: self._fitted(name, *pair) for name, pair in pairs.items()}
        except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as err:
            raise ReleaseUnusable(_name(folder), f"its LoRA does not fit the base model ({err})") from err

    def _fitted(self, name: str, a: "torch.Tensor", b: "torch.Tensor") -> Pair:
        """As the module computes. `a` is (r, in), `b` (out, r). Raises ValueError and AttributeError."""
        weight = self._model.get_submodule(name).weight
        if (b.shape[0], a.shape[1]) != tuple(weight.shape) or a.shape[0] != b.shape[1]:
            raise ValueError(f"{name} is {tuple(weight.shape)} here")
        a, b = (part.to(device=weight.device, dtype=weight.dtype).t().contiguous() for part in (a, b))
        return a, b

    def _hook(self, names: Mapping[str, Pair]) -> None:
        for name in names.keys() - self._hooked:
            self._model.get_submodule(name).register_forward_hook(self._hook_of(name))
            self._hooked.add(name)

    def _hook_of(self, name: str) -> Any:
        def add(module: object, arguments: tuple["torch.Tensor"], output: "torch.Tensor") -> "torch.Tensor":
            pair = self._active.get(name)
            return output if pair is None else output + arguments[0] @ pair[0] @ pair[1]

        return add


def _scale(config: Mapping[str, Any]) -> float:
    """Raises ValueError for what is more than a plain LoRA."""
    unknown = [name for name in _UNKNOWN if config.get(name)]
    if config["peft_type"] != "LORA" or config.get("bias", "none") != "none" or unknown:
        raise ValueError(f"it is more than a plain LoRA: {', '.join(unknown) or 'see its adapter_config.json'}")
    return float(config["lora_alpha"]) / float(config["r"])


def _name(folder: Path) -> str:
    """Releases keep their LoRA in a folder of that name."""
    return folder.parent.name if folder.name == "lora" else folder.name
