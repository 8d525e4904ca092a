"""What can go wrong in training and inference.

TrainingError
├── ModelUnavailable   a model's weights are missing or broken, or a generation failed
└── FolderCorrupt      a dataset or a release is not what was written
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
