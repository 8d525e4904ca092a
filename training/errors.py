"""What can go wrong in training and inference.

TrainingError
└── ModelUnavailable   a model's weights are missing or broken, or a generation failed
"""


class TrainingError(Exception):
    """Base of all errors of this package. The text is one sentence that says what to do."""


class ModelUnavailable(TrainingError):
    """A model's weights are missing or broken, or a generation failed."""
