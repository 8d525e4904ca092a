"""What can go wrong in training and inference.

TrainingError
├── ModelUnavailable    a model's weights are missing or broken, or a generation failed
├── FolderCorrupt       a dataset or a release is not what was written
├── DatasetRefused      no dataset can be made: too few rows, or something that had to be masked
├── DatasetUnknown      there is no such dataset, or it was retired
├── RubricInvalid       a style guide states a check that is not known
├── TrainingFailed      a run cannot go on: its data, the machine or the numbers do not allow it
├── TrainingStopped     somebody asked the run to stop
├── RunRefused          a run cannot start or be found
├── ReleaseUnusable     a release is not there, corrupt, or not of this base
└── NothingToRollBack   no release serves
"""

from collections.abc import Sequence
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


class DatasetRefused(TrainingError):
    """No dataset can be made of what there is; nothing was written."""


class DatasetUnknown(TrainingError):
    """There is no dataset of that id, or it was retired because somebody's data had to go."""


class RubricInvalid(TrainingError):
    """A style guide states a check that is not known."""

    def __init__(self, line: str, known: Sequence[str]) -> None:
        super().__init__(
            f"The style guide's checks hold the line {line!r}, which is none of: {'; '.join(f'- {rule}' for rule in known)}."
        )


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


class TrainingFailed(TrainingError):
    """A run cannot go on: its data, the machine or the numbers do not allow it."""


class TrainingStopped(TrainingError):
    """Somebody asked the run to stop; what it has learnt so far is kept."""

    def __init__(self) -> None:
        super().__init__("The run was stopped; `timbre train run` goes on with it.")


class RunRefused(TrainingError):
    """A run cannot start, since another is at work, or there is none of that name."""
