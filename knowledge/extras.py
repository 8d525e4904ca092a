"""What to install for a part that is optional: `pip install 'timbre-bot[weaviate]'`. For every package above knowledge, too."""

from typing import Literal

DISTRIBUTION = "timbre-bot"
Extra = Literal["slack", "discord", "weaviate", "postgres", "training", "s3", "gcs", "github"]


def missing_extra(what: str, extra: Extra) -> str:
    """The rest of a sentence for when importing `what` failed, without a full stop: "Postgres needs `pip install ...`"."""
    return f"{what} needs `pip install '{DISTRIBUTION}[{extra}]'`"
