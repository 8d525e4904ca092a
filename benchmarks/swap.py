"""How long answers stand still while a release is swapped in, and what a LoRA costs: our hooks beside peft, in the same run.

    python -m benchmarks.swap [--answers N]

Two LoRAs of rank 8 with random weights (their size and speed are those of trained ones) for the built-in model. One answer runs
while a release is loaded, tried and switched to, by `Inference.prepare`; what is told is the longest pause between two of its
tokens, beside that of an answer that nothing disturbs, and whether any request was lost. Results go to
benchmarks/results/swap.json.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks import results
from bot.settings import Settings
from bot.weights import language_model_folder
from training.inference import Inference, load_model
from training.loras import Loras

RANK, TOKENS, WARM_UP, TOKENS_TIMED = 8, 120, 12, 24
STORY = [{"role": "user", "content": "Write a very long story about the sea, its ships and the people who live on them."}]
SHORT = [{"role": "user", "content": "Name the capital of France."}]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--answers", type=int, default=3, metavar="N", help="answers that are disturbed, and as many that are not"
    )
    options = parser.parse_args(arguments)
    base = language_model_folder(Settings(), lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        loras = [write_lora(base, Path(folder) / f"r-{number}" / "lora", number) for number in range(options.answers + 2)]
        found = {"megabytes": round((loras[0] / "adapter_model.safetensors").stat().st_size / 1e6, 1)}
        found |= measure_parts(base, loras) | measure_pauses(base, loras, options.answers)
    results.write("swap", found, {package: version(package) for package in ("torch", "transformers", "peft")})
    for name, value in found.items():
        Console().print(f"{name.replace('_', ' ')}: {value}", highlight=False)


def write_lora(base: str, folder: Path, seed: int) -> Path:
    """As peft saves it, for every linear layer but the head."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    weights = {}
    for name, module in load_model(base)[1].named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            weights[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, module.in_features) / module.in_features**0.5
            weights[f"base_model.model.{name}.lora_B.weight"] = torch.randn(module.out_features, RANK) / 1000
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": "all-linear"}
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
    return folder


def measure_parts(base: str, loras: Sequence[Path]) -> dict[str, Any]:
    """Milliseconds (median; CPU time of the thread, so that other work on the machine does not count) and CPU seconds a text."""
    from peft import PeftModel

    warnings.simplefilter("ignore")  # peft 0.21.2 uses what transformers 5.23 calls deprecated
    tokenizer, model = load_model(base)
    alone = seconds_a_text(tokenizer, model)
    ours = Loras(model)
    first, *loads = [milliseconds(lambda lora=lora: ours.load(lora)) for lora in loras]  # type: ignore[misc]
    switches = [milliseconds(lambda: ours.activate(loras[-1])) for _ in range(100)]
    hooked = seconds_a_text(tokenizer, model)
    ours.activate(None)
    idle = seconds_a_text(tokenizer, model)
    tuned = PeftModel.from_pretrained(load_model(base)[1], loras[0], adapter_name="0").eval()
    peft_loads = [milliseconds(lambda n=n: tuned.load_adapter(loras[n], str(n))) for n in range(1, 3)]  # type: ignore[misc]
    peft_switches = [milliseconds(lambda n=n: tuned.set_adapter(str(n % 2))) for n in range(4)]  # type: ignore[misc]
    return {
        "load_first_ms": first,
        "load_ms": median(loads),
        "switch_ms": median(switches),
        "peft_load_ms": median(peft_loads),
        "peft_switch_ms": median(peft_switches),
        "text_s": {"base": alone, "base_with_idle_loras": idle, "lora": hooked, "lora_by_peft": seconds_a_text(tokenizer, tuned)},
    }


def measure_pauses(base: str, loras: Sequence[Path], answers: int) -> dict[str, Any]:
    """The longest pause between two tokens of a running answer, in milliseconds: median over the answers."""
    inference = Inference(base)
    inference.prepare(loras[0])
    inference.generate_all([STORY], TOKENS, loras[0])
    quiet = [longest_pause(inference, loras[0], lambda: None)[0] for _ in range(answers)]
    beside = [longest_pause(inference, loras[0], lambda: inference.generate_all([SHORT], 6, loras[0])) for _ in range(answers)]
    swapped = [
        longest_pause(inference, loras[0], lambda lora=lora: inference.prepare(lora))  # type: ignore[misc]
        for lora in loras[1 : answers + 1]
    ]
    inference.close()
    return {
        "longest_pause_ms": median(quiet),
        "longest_pause_while_another_joins_ms": median(pause for pause, _ in beside),
        "longest_pause_while_swapped_ms": median(pause for pause, _ in swapped),
        "answers_lost": sum(not is_whole for _, is_whole in swapped),
    }


def longest_pause(inference: Inference, lora: Path, disturb: Callable[[], object]) -> tuple[float, bool]:
    """(milliseconds, whether the answer came to its end)."""
    moments: list[float] = []
    running = inference.submit(STORY, TOKENS, lambda _: moments.append(time.perf_counter()), lora)
    while len(moments) < WARM_UP:
        time.sleep(0.005)
    disturb()
    running.done.result()
    pauses = [later - earlier for earlier, later in zip(moments[WARM_UP:], moments[WARM_UP + 1 :], strict=False)]
    return round(max(pauses) * 1000, 1), len(moments) > TOKENS // 2


def milliseconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return round((time.thread_time() - started) * 1000, 3)


def seconds_a_text(tokenizer: Any, model: Any) -> float:
    """CPU seconds of a prompt and so many tokens, the best of three."""
    import torch

    prompt = tokenizer.apply_chat_template(STORY, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    spent = []
    for _ in range(3):
        started = time.process_time()
        with torch.inference_mode():
            model.generate(**prompt, max_new_tokens=TOKENS_TIMED, min_new_tokens=TOKENS_TIMED, do_sample=False)
        spent.append(time.process_time() - started)
    return round(min(spent), 2)


if __name__ == "__main__":
    main(sys.argv[1:])
