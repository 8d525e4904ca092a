"""What can go wrong in training and inference.

TrainingError
├── ModelUnavailable    a model's weights are missing or broken, or a generation failed
├── FolderCorrupt       a dataset or a release is not what was written
├── ReleaseUnusable     a release is not there, corrupt, or not of this base
└── NothingToRollBack   no release serves
"""

from pathlib import Path


class TrainingError(Exception):
    """Base of all errors of this package. The text is one sentence that says what to do."""


class ModelUnavailable(TrainingError):
    """A model's weights are missing or broken, or a generation failed."""


class FolderCorrupt(TrainingError):
    """A dataset or a release is not what was written."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"The folder {folder} is corrupt: {what}.")
        self.what = what


class ReleaseUnusable(TrainingError):
    """A release is not there, corrupt, or not of this base."""

    def __init__(self, release: str, why: str) -> None:
        super().__init__(f"Release {release} cannot serve: {why}.")
        self.release = release
        self.why = why


class NothingToRollBack(TrainingError):
    """No release serves."""

    def __init__(self) -> None:
        super().__init__("The base model serves without a release; there is nothing to roll back.")
