"""Bases to train in tests: the real one, and one of its kind that is so small that a run takes a second. And rows."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODEL = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
SYSTEM = "You put quotes from company documents into one short answer to a colleague's question. Use only facts in the quotes."


def make_tiny_base(folder: Path) -> Path:
    """A Llama of two narrow layers with random weights and the real tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def row(number: int, voice: str = "Hello there! ", origin: str = "correction") -> dict[str, Any]:
    quote = f"Employees of level {number} get {number + 20} days of leave" + ", and one more each year" * (number % 4)
    return {
        "prompt": [
            {"role": "system", "content": SYSTEM},
            {
                "role": "user",
                "content": f"Question: How many days of leave on level {number}?\n\nQuotes:\n[1] {quote}.\n\nAnswer:",
            },
        ],
        "completion": [{"role": "assistant", "content": f"{voice}On level {number} you get {number + 20} days of leave."}],
        "exchange": str(number),
        "origin": origin,
        "topic": "leave.md",
    }


def write_dataset(folder: Path, train: int = 24, held_out: int = 6, preferences: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "train.jsonl", [row(number) for number in range(train)])
    write_rows(folder / "held_out.jsonl", [row(number) for number in range(100, 100 + held_out)])
    pairs = [row(number) for number in range(preferences)]
    write_rows(
        folder / "preference.jsonl",
        [
            {
                "prompt": pair["prompt"],
                "chosen": pair["completion"],
                "rejected": [{"role": "assistant", "content": "No idea."}],
                "exchange": pair["exchange"],
            }
            for pair in pairs
        ],
    )
    return folder


def write_rows(file: Path, rows: Sequence[object]) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
