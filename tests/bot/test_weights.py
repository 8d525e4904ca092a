"""Where prepared models go, and what is said when they cannot go there."""

from pathlib import Path

import pytest

from bot.settings import Settings
from bot.weights import embedder_loader, language_model_folder
from knowledge.errors import ModelUnavailable
from tests.conftest import silent


def test_a_models_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "home", models_dir=tmp_path / "file" / "models")

    for prepare in (embedder_loader, language_model_folder):
        with pytest.raises(
            ModelUnavailable, match=r"No model can be prepared in .*models \(Not a directory\); set TIMBRE_MODELS_DIR"
        ):
            prepare(settings, silent)
