"""What fuzzing found interesting, or broken once, keeps its promises; and so does every file that fuzzing starts from."""

import pytest

from tests.fuzz.promises import check
from tests.fuzz.seeds import ENDINGS, file_of, kept, seeds


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(ENDINGS))
@pytest.mark.filterwarnings("ignore")  # of the parsers' libraries, about files that are broken on purpose
def test_every_kept_input_is_refused_with_a_sentence_or_becomes_a_usable_document(kind: str) -> None:
    inputs = list(seeds(kind))

    for data in inputs:
        check(file_of(kind, data), f"fuzzed{ENDINGS[kind]}")

    assert len(inputs) > len(kept(kind)) > 0
