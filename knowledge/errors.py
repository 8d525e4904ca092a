"""What can go wrong in knowledge.

KnowledgeError
├── ParseFailed          a file cannot be read; its reason goes into `timbre sources`, the run goes on
├── SourceUnreadable     a source's place cannot be reached or listed
├── UnknownSource        no source has this name
├── ModelUnavailable     the embedding model cannot be loaded
└── IndexUnavailable     the index cannot do what was asked
    ├── NothingIndexed   no generation is live: nothing was ever indexed with this embedder
    └── IndexAway        its server does not answer; passes by itself when the server is back
"""


class KnowledgeError(Exception):
    """Base of all errors of this package. The text is one sentence that says what to do."""


class ParseFailed(KnowledgeError):
    """`reason` is one short sentence for an administrator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SourceUnreadable(KnowledgeError):
    """The place that a source names cannot be listed or read."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"Cannot read {place}: {reason}")


class UnknownSource(KnowledgeError):
    """No source of that name is in the catalogue."""

    def __init__(self, name: str, known: list[str]) -> None:
        names = ", ".join(sorted(known)) or "none yet; add one with `timbre ingest PATH`"
        super().__init__(f"There is no source named {name!r}. Known sources: {names}.")


class ModelUnavailable(KnowledgeError):
    """The embedding model is missing or broken."""


class IndexUnavailable(KnowledgeError):
    """The index cannot do what was asked."""


class NothingIndexed(IndexUnavailable):
    """There is nothing to search."""

    def __init__(self) -> None:
        super().__init__("Nothing is indexed yet; run `timbre ingest PATH` first, or `timbre reindex` if the index was changed.")


class IndexAway(IndexUnavailable):
    """The index's server does not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The index at {url} does not answer ({reason}); start it, or correct TIMBRE_INDEX__URL.")
        self.url = url
