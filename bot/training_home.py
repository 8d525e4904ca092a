"""Where training keeps its folders, and the key of the hashes that stand for people in them."""

import secrets
from pathlib import Path

from bot.settings import Settings
from training.folders import sync

KEY_BYTES = 32


def training_dir(settings: Settings) -> Path:
    """Where datasets, runs and releases are."""
    return settings.home / "training"


def datasets_dir(settings: Settings) -> Path:
    return training_dir(settings) / "datasets"


def rater_key(settings: Settings) -> bytes:
    """The key of the hashes that stand for people, made at the first call; with another key, people are others."""
    path = training_dir(settings) / "rater.key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_hex(KEY_BYTES))
        sync(unfinished)
        try:
            path.hardlink_to(unfinished)  # unlike a rename, it leaves the key of whoever came first
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
        sync(path.parent)
    return bytes.fromhex(path.read_text())
