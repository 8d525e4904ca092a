"""What every Embedder promises. To add an implementation, add one line to `IMPLEMENTATIONS`."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from bot.settings import Settings
from bot.weights import embedder_loader, models_dir
from knowledge.embedding import OnnxEmbedder
from knowledge.errors import ModelUnavailable
from knowledge.parsing import parse
from knowledge.ports import Embedder, Embedding
from knowledge.settings import EmbeddingSettings
from tests.conftest import SAMPLES, silent
from tests.fakes import HashingEmbedder


@lru_cache
def onnx() -> Embedder:
    return embedder_loader(Settings(), silent)()


@lru_cache
def torch() -> Embedder:
    return embedder_loader(Settings(embedding=EmbeddingSettings(runtime="torch")), silent)()


IMPLEMENTATIONS: dict[str, Callable[[], Embedder]] = {"hashing": HashingEmbedder, "onnx": onnx, "torch": torch}
REAL_MODEL = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(params=["hashing", pytest.param("onnx", marks=REAL_MODEL), pytest.param("torch", marks=REAL_MODEL)])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return IMPLEMENTATIONS[request.param]()


TEXTS = [
    "Refunds",
    "You get your refund within 30 days of the return.",
    "Der Urlaub beträgt 30 Tage; é, ß und ñ zählen auch.",
    "日本語の文章です。",
    "Ask in #people-team, or write to people@example.com 🙂!",
    "Long " + "sentence with many words " * 20,
]


@lru_cache
def embedded_by(name: str) -> list[Embedding]:
    """The embeddings of TEXTS, made once: torch takes seconds."""
    return IMPLEMENTATIONS[name]().embed(TEXTS)


@pytest.fixture
def embedded(request: pytest.FixtureRequest, embedder: Embedder) -> list[Embedding]:
    """The embeddings of TEXTS."""
    return embedded_by(request.node.callspec.params["embedder"])


def assert_same(ones: list[Embedding], others: list[Embedding], cosine: float) -> None:
    for one, other in zip(ones, others, strict=True):
        assert float(one.vector @ other.vector) >= cosine
        assert float((one.token_vectors * other.token_vectors).sum(axis=1).min()) >= cosine
        assert np.array_equal(one.offsets, other.offsets)


def handbook() -> list[str]:
    """A paragraph of each section of the sample handbook."""
    pages = [parse(path.read_bytes(), path.name) for path in sorted((SAMPLES / "handbook").rglob("*.md"))]
    return [f"{page.title}\n{section.blocks[0].text}" for page in pages for section in page.sections]


def test_vectors_have_unit_length(embedded: list[Embedding]) -> None:
    for embedding in embedded:
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-4)
        assert np.linalg.norm(embedding.token_vectors, axis=1) == pytest.approx(1, abs=1e-4)


def test_vectors_have_the_stated_shapes_and_types(embedder: Embedder, embedded: list[Embedding]) -> None:
    for embedding in embedded:
        tokens, dimensions = len(embedding.token_vectors), embedder.dimensions
        arrays = (embedding.vector, embedding.token_vectors, embedding.offsets)
        assert tokens > 0
        assert [array.shape for array in arrays] == [(dimensions,), (tokens, dimensions), (tokens, 2)]
        assert [str(array.dtype) for array in arrays] == ["float32", "float32", "int32"]


def test_an_embedder_has_a_name(embedder: Embedder) -> None:
    assert embedder.name
    assert embedder.dimensions > 0


def test_offsets_cover_the_text_in_order(embedder: Embedder) -> None:
    text = "Unbelievable reimbursements, for everybody's travelcards!"

    embedding = embedder.embed([text])[0]

    assert "".join(text[start:end] for start, end in embedding.offsets) == text.replace(" ", "")


def test_offsets_point_at_the_characters_that_a_token_stands_for(embedder: Embedder) -> None:
    question, passage = "holiday", "Dürfen wir? Yes 🙂, you have a holiday in May"

    asked, found = embedder.embed([question, passage])

    start, end = found.offsets[int(np.argmax(found.token_vectors @ asked.token_vectors[0]))]
    assert passage[start:end] == "holiday"


def test_similar_texts_are_nearer_than_others(embedder: Embedder) -> None:
    leave, holiday, printer = embedder.embed(["days of annual leave", "annual leave in days", "the printer has no toner"])

    assert float(leave.vector @ holiday.vector) > float(leave.vector @ printer.vector) + 0.2


def test_no_texts_give_no_embeddings(embedder: Embedder) -> None:
    assert embedder.embed([]) == []
    assert embedder.count_tokens([]) == []


def test_an_empty_text_has_no_tokens(embedder: Embedder) -> None:
    embedding = embedder.embed(["", "not empty"])[0]

    assert embedding.vector.shape == (embedder.dimensions,)
    assert embedding.token_vectors.shape == (0, embedder.dimensions)
    assert embedding.offsets.shape == (0, 2)
    assert embedder.count_tokens([""]) == [0]


def test_the_same_texts_give_the_same_vectors(embedder: Embedder, embedded: list[Embedding]) -> None:
    assert_same(embedder.embed(TEXTS), embedded, 0.9999)


def test_a_batch_changes_neither_order_nor_vectors(embedder: Embedder) -> None:
    texts = handbook()[: 6 if "torch" in embedder.name else 40]  # torch is slow, and batches in floats

    together = embedder.embed(texts)
    alone = [embedder.embed([text])[0] for text in texts]

    assert_same(together, alone, 0.99)


def test_results_come_in_the_order_of_the_texts(embedder: Embedder, embedded: list[Embedding]) -> None:
    forwards, backwards = embedded, embedder.embed(TEXTS[::-1])

    similarities = np.array([[float(a.vector @ b.vector) for b in backwards[::-1]] for a in forwards])
    assert similarities.argmax(axis=1).tolist() == list(range(len(TEXTS)))


def test_tokens_of_a_long_text_are_counted_in_full(embedder: Embedder) -> None:
    assert embedder.count_tokens(["word " * 1000, "word"]) == [1000, 1]


def test_counted_tokens_are_those_that_are_embedded(embedder: Embedder, embedded: list[Embedding]) -> None:
    counts = embedder.count_tokens(TEXTS)

    assert counts == [len(embedding.token_vectors) for embedding in embedded]


def test_a_text_beyond_the_models_length_is_cut_off(embedder: Embedder) -> None:
    text = "word " * 2000

    embedding = embedder.embed([text])[0]

    assert 200 <= len(embedding.token_vectors) == len(embedding.offsets) <= 2000
    assert {text[start:end] for start, end in embedding.offsets} == {"word"}
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-4)


@pytest.mark.model
@pytest.mark.slow
def test_the_built_in_model_reads_at_most_256_tokens() -> None:
    lengths = [
        [len(e.token_vectors) for e in embedder.embed(["word " * n for n in (253, 254, 255)])] for embedder in (onnx(), torch())
    ]

    assert lengths == [[253, 254, 254]] * 2


@pytest.mark.model
@pytest.mark.slow
def test_the_int8_model_says_what_the_exact_model_says() -> None:
    texts = handbook()[:10]

    small, exact = onnx().embed(texts), torch().embed(texts)

    assert_same(small, exact, 0.90)
    assert min(float(a.vector @ b.vector) for a, b in zip(small, exact, strict=True)) >= 0.97


def test_a_folder_without_a_model_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="timbre setup"):
        OnnxEmbedder(tmp_path)


@pytest.mark.model
@pytest.mark.slow
def test_a_broken_model_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    folder = models_dir(Settings()) / "all-MiniLM-L6-v2-onnx"
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes() if file.suffix == ".json" else b"broken")

    with pytest.raises(ModelUnavailable, match="delete it"):
        OnnxEmbedder(tmp_path)


@pytest.mark.slow
def test_a_torch_model_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    settings = Settings(embedding=EmbeddingSettings(model=str(tmp_path / "nothing"), runtime="torch"))

    with pytest.raises(ModelUnavailable, match="nothing"):
        embedder_loader(settings, silent)()
