"""Several releases on one base: each request gets its own, computed as peft computes it, and a swap loses nobody."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.training.tiny_models import TOKENIZER, write_lora, write_model
from training.errors import ModelUnavailable, ReleaseUnusable
from training.inference import Inference, load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(not TOKENIZER.exists(), reason="run `timbre setup` first"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),  # peft 0.21.2 asks for it
]

HELLO = [{"role": "user", "content": "Say hello."}]
OTHERS = [[{"role": "system", "content": "Be short."}, {"role": "user", "content": f"Say {word}."}] for word in ("yes", "no")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def loras(model: Path) -> list[Path]:
    return [write_lora(model.parent / f"r-{seed}" / "lora", seed) for seed in range(2)]


@pytest.fixture(scope="module")
def inference(model: Path) -> Iterator[Inference]:
    made = Inference(str(model))
    yield made
    made.close()


def said(inference: Inference, lora: Path | None, tokens: int = 6) -> str:
    return inference.generate_all([HELLO], tokens, lora)[0]


def said_by_peft(model: Path, lora: Path | None) -> str:
    import torch
    from peft import PeftModel

    tokenizer, base = load_model(str(model))
    tuned = PeftModel.from_pretrained(base.float(), lora) if lora else base.float()
    prompt = tokenizer.apply_chat_template(HELLO, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        output = tuned.generate(**prompt, max_new_tokens=1, do_sample=False)
    return str(tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))


def test_each_request_is_answered_with_its_lora_also_when_they_come_together(inference: Inference, loras: list[Path]) -> None:
    kinds = [None, *loras]
    alone = [said(inference, lora) for lora in kinds]

    with ThreadPoolExecutor(9) as pool:
        together = list(pool.map(lambda lora: said(inference, lora), kinds * 3))

    assert len(set(alone)) == 3
    assert together == alone * 3


def test_a_lora_does_what_it_does_with_peft(inference: Inference, model: Path, loras: list[Path]) -> None:
    for lora in (None, *loras):
        assert said(inference, lora, 1) == said_by_peft(model, lora)


def test_likelihoods_are_those_of_peft_whatever_is_scored_beside(inference: Inference, model: Path, loras: list[Path]) -> None:
    pairs = [(HELLO, "Hello!"), (OTHERS[0], "Yes, certainly, at once."), (OTHERS[1], "No.")]

    found = inference.negative_log_likelihoods(pairs, loras[0])

    assert found == pytest.approx([peft_likelihood(model, loras[0], *pair) for pair in pairs], rel=0.03)
    assert inference.negative_log_likelihoods(pairs[:1], loras[0]) == pytest.approx(found[:1], rel=0.02)
    assert inference.negative_log_likelihoods(pairs, loras[1]) != pytest.approx(found, rel=0.05)
    assert inference.negative_log_likelihoods([]) == []


def peft_likelihood(model: Path, lora: Path, messages: list[dict[str, str]], answer: str) -> float:
    """As a trainer computes the loss of one row: over the completion's tokens alone."""
    import torch
    from peft import PeftModel

    tokenizer, base = load_model(str(model))
    tuned = PeftModel.from_pretrained(base.float(), lora)
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = tokenizer(f"{prompt}{answer}<|im_end|>", return_tensors="pt", add_special_tokens=False)
    labels = whole["input_ids"].clone()
    labels[:, : len(tokenizer(prompt, add_special_tokens=False)["input_ids"])] = -100
    with torch.inference_mode():
        return float(tuned(**whole, labels=labels).loss)


def test_a_release_is_swapped_in_without_losing_a_request(inference: Inference, loras: list[Path], tmp_path: Path) -> None:
    new = write_lora(tmp_path / "r-new" / "lora", 7)
    started = threading.Event()
    pieces: list[str] = []

    def take(piece: str) -> None:
        pieces.append(piece)
        started.set()

    running = inference.submit(HELLO, 400, take, loras[0])
    assert started.wait(60)
    waiting = [inference.submit(messages, 4, lambda _: None, loras[1]) for messages in OTHERS]

    inference.prepare(new)
    after = said(inference, new, 4)

    was_running = not running.done.done()
    for generation in [running, *waiting]:
        generation.done.result(60)
    assert was_running
    assert after not in ("", said(inference, loras[0], 4))
    assert "".join(pieces)[:40] == said(inference, loras[0], 400)[:40]


def test_more_loras_than_are_kept_are_read_again(inference: Inference, loras: list[Path], tmp_path: Path) -> None:
    first = said(inference, loras[0])

    for seed in range(10, 15):
        inference.prepare(write_lora(tmp_path / f"r-{seed}" / "lora", seed))

    assert said(inference, loras[0]) == first


def test_a_lora_of_another_base_is_told_and_harms_nobody(inference: Inference, loras: list[Path], tmp_path: Path) -> None:
    before = said(inference, loras[0])
    stranger = write_lora(tmp_path / "r-bad" / "lora", 3)
    rename_modules(stranger / "adapter_model.safetensors")

    with pytest.raises(ReleaseUnusable, match=r"r-bad cannot serve: its LoRA does not fit the base model"):
        inference.prepare(stranger)
    with pytest.raises(ModelUnavailable, match="does not fit"):
        said(inference, stranger)

    assert said(inference, loras[0]) == before


def rename_modules(file: Path) -> None:
    from safetensors.numpy import load_file, save_file

    save_file({name.replace("q_proj", "query"): value for name, value in load_file(file).items()}, file)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "more than a plain LoRA"),
        ({"r": "many"}, "does not fit"),
        ({}, "does not fit"),
    ],
)
def test_what_is_no_plain_lora_is_refused(inference: Inference, tmp_path: Path, change: dict[str, Any], why: str) -> None:
    lora = write_lora(tmp_path / "r-odd" / "lora", 4)
    config = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps({**config, **change}) if change else "{")

    with pytest.raises(ReleaseUnusable, match=why):
        inference.prepare(lora)


def test_a_lora_that_says_nothing_is_refused(inference: Inference, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    lora = write_lora(tmp_path / "r-mute" / "lora", 5)
    file = lora / "adapter_model.safetensors"
    save_file({name: value * 1e30 for name, value in load_file(file).items()}, file)  # finite; what it computes is not

    with pytest.raises(ReleaseUnusable, match="r-mute cannot serve: asked to say hello"):
        inference.prepare(lora)


def test_a_folder_with_a_lora_is_a_model(loras: list[Path], inference: Inference) -> None:
    merged = Inference(str(loras[0]))

    assert said(merged, None, 2) == said(inference, loras[0], 2)
    merged.close()


def test_a_missing_base_is_told_by_all_that_need_it(tmp_path: Path) -> None:
    inference = Inference(str(tmp_path / "none"))

    for use in (
        lambda: inference.prepare(tmp_path),
        lambda: inference.negative_log_likelihoods([(HELLO, "Hi")]),
        lambda: inference.generate_all([HELLO], 2),
    ):
        with pytest.raises(ModelUnavailable, match="Cannot load the language model"):
            use()
    inference.close()
