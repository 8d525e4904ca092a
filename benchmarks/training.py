"""Is training faster than trl's SFTTrainer, and does the bot stay quick while it runs?

    python -m benchmarks.training [--part speed beside] [--rounds N] [--steps N]

`speed`: tokens of rows a second, learning the same rows with the same settings, in turns, each in a process of its own; trl as
its defaults have it (float32 LoRA weights, rows at random), and tuned: bfloat16 LoRA weights, rows of similar length together.
Memory is the peak of these processes. `beside`: the burst of `benchmarks.delivery`, without and with a training run.
Results go to benchmarks/results/training.json; parts that do not run keep what stands there.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.corpora import SHARED
from bot.conversation import Quote
from bot.prompting import build_messages
from bot.voice import read_voice
from tests.bot.passages import a_passage
from training import runs
from training.examples import PromptCompletion, completion_row
from training.forecast import Budget, peak_memory_mb
from training.recipe import Recipe

MODEL = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
PARTS = ("speed", "beside")
PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate")
SYSTEMS = ("timbre", "trl", "trl tuned")
WARM_UP_STEPS = 2  # torch chooses its kernels in these
BURST, BURST_S = 300, 10.0
MAX_EVIDENCE_CHARS = 400
"""Some evidence of the handbook is a whole page; a quote has one to three sentences."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each system has its turn")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="that are measured, of 8 rows")
    parser.add_argument("--platform", default="slack", help="of the part beside")
    parser.add_argument("--learn", choices=SYSTEMS, help=argparse.SUPPRESS)  # what a round's process does
    options = parser.parse_args(arguments)
    if options.learn:
        print(json.dumps(LEARN[options.learn](options.steps)))
        return
    if "speed" in options.part:
        write("speed", speed(options.rounds, options.steps))
    if "beside" in options.part:
        write("beside", beside(options.platform))


# Speed and memory


def speed(rounds: int, steps: int) -> dict[str, Any]:
    """Medians over the rounds; the ratios are of the same round, so that a busy machine does them no harm."""
    turns: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
    for _ in range(rounds):
        for system in SYSTEMS:
            turns[system].append(_turn(system, steps))
            print(system, turns[system][-1], flush=True)
    ratios = {
        f"ahead of {system}": [ours["tokens_per_cpu_s"] / theirs["tokens_per_cpu_s"] for ours, theirs in _pairs(turns, system)]
        for system in SYSTEMS[1:]
    }
    return {
        "rows": len(rows()),
        "steps": steps,
        "rounds": rounds,
        **{system: {name: median(turn[name] for turn in turns[system]) for name in turns[system][0]} for system in SYSTEMS},
        **{name: {"median": median(found), "least": min(found), "most": max(found)} for name, found in ratios.items()},
    }


def _pairs(turns: Mapping[str, list[dict[str, float]]], system: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    return list(zip(turns["timbre"], turns[system], strict=True))


def _turn(system: str, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", "--learn", system, "--steps", str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    measured: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return measured


def rows() -> list[PromptCompletion]:
    """A row for each question of the handbook whose evidence is short: the engine's prompt, the answer in a voice of its own."""
    voice, made = read_voice(None), []
    for line in (SHARED / "handbook" / "qa.jsonl").read_text().splitlines():
        case = json.loads(line)
        evidence = case.get("evidence")
        if isinstance(evidence, str) and len(evidence) <= MAX_EVIDENCE_CHARS:
            quote = Quote(evidence, a_passage(evidence), 1.0)
            asked = build_messages(case["question"], [quote], voice)
            messages = [{"role": message["role"], "content": message["content"]} for message in asked]
            made.append(PromptCompletion(messages, f"Hello there! {case['answer']} Happy to help!", case["id"], "answer", ""))
    return made


def recipe() -> Recipe:
    return Recipe(
        base=str(MODEL), rank=8, alpha=16, learning_rate=1.3e-3, epochs=1, batch_rows=8, warm_up_steps=0, max_tokens=1024,
        patience=2, seed=0, method="sft", replay_share=0.0, processes=1, threads=1,
    )  # fmt: skip


def _learn_timbre(steps: int) -> dict[str, float]:
    from training.encoding import batches, encode
    from training.fine_tune import load, set_threads
    from training.learner import Learner
    from training.processes import Process

    set_threads(recipe())
    process = Process(0, 1, "cpu")
    tokenizer, base = load(recipe(), process)
    encoded = [encode(tokenizer, row.prompt, row.completion) for row in rows()]
    learner = Learner(recipe(), base, tokenizer.pad_token_id, process)
    plan = [batch for epoch in range(4) for batch in batches(encoded, 8, 0, epoch)][: steps + WARM_UP_STEPS]
    clock = Clock()
    for step, batch in enumerate(plan):
        if step == WARM_UP_STEPS:
            clock = Clock()
        loss = learner.step(batch, recipe().learning_rate)
    return clock.measured(sum(row.tokens for batch in plan[WARM_UP_STEPS:] for row in batch), loss)


def _learn_trl(steps: int, *, is_tuned: bool = False) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    base = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16)
    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, lora, autocast_adapter_dtype=False) if is_tuned else base
    trained = Dataset.from_list([dict(completion_row(row)) for row in rows()]).select_columns(["prompt", "completion"])
    seen: list[int] = []

    class Stopwatch(TrainerCallback):  # type: ignore[misc]  # transformers is not analysed
        def __init__(self) -> None:
            self.clock = Clock()

        def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
            if state.global_step == WARM_UP_STEPS:
                seen.clear()
                self.clock = Clock()

    config = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        max_steps=steps + WARM_UP_STEPS,
        per_device_train_batch_size=8,
        learning_rate=recipe().learning_rate,
        lr_scheduler_type="constant",
        max_length=1024,
        activation_checkpointing=False,
        bf16=False,  # the weights are bfloat16
        train_sampling_strategy="group_by_length" if is_tuned else "random",
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=0,
    )
    stopwatch = Stopwatch()
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=trained, processing_class=tokenizer, callbacks=[stopwatch],
        peft_config=None if is_tuned else lora,
    )  # fmt: skip
    collate: Callable[..., Any] = trainer.data_collator

    def counting(examples: Any) -> Any:
        batch = collate(examples)
        seen.append(int(batch["attention_mask"].sum()))
        return batch

    trainer.data_collator = counting
    result = trainer.train()
    return stopwatch.clock.measured(sum(seen[-steps:]), float(result.training_loss))


LEARN: Mapping[str, Callable[[int], dict[str, float]]] = {
    "timbre": _learn_timbre,
    "trl": _learn_trl,
    "trl tuned": lambda steps: _learn_trl(steps, is_tuned=True),
}


class Clock:
    """Wall and CPU time since it was made. The ratio of systems is one of CPU time: the machine may be busy."""

    def __init__(self) -> None:
        self._began_s, self._cpu_s = time.monotonic(), time.process_time()

    def measured(self, tokens: int, loss: float) -> dict[str, float]:
        wall_s, cpu_s = time.monotonic() - self._began_s, time.process_time() - self._cpu_s
        return {
            "tokens_per_s": tokens / wall_s,
            "tokens_per_cpu_s": tokens / cpu_s,
            "peak_mb": peak_memory_mb(),
            "loss": loss,
        }


# Beside the bot


def beside(platform: str) -> dict[str, Any]:
    """The burst twice: alone, and while a run trains."""
    from tests.journeys import delivery

    found: dict[str, Any] = {"events": BURST, "within_s": BURST_S}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found["alone"] = asdict(asyncio.run(delivery.burst(platform, folder / "alone", BURST, BURST_S)))
        with _Training(folder / "training") as steps:
            before = steps()
            found["training"] = asdict(asyncio.run(delivery.burst(platform, folder / "beside", BURST, BURST_S)))
            found["steps_meanwhile"] = steps() - before
    return found


class _Training:
    """Trains for as long as the block lasts; gives the number of steps taken so far."""

    def __init__(self, folder: Path) -> None:
        dataset = folder / "dataset"
        dataset.mkdir(parents=True)
        lines = [json.dumps(completion_row(row)) for row in rows()]
        (dataset / "train.jsonl").write_text("\n".join(lines))
        request = runs.Request(str(dataset), str(MODEL), Budget(6000, 0, 0.0), overrides={"epochs": 50})
        self._folder = runs.create(folder / "runs", request)

    def __enter__(self) -> Callable[[], int]:
        command = [sys.executable, "-m", "training", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self._steps() < 1:
            assert self._process.poll() is None, runs.read(self._folder).status
            time.sleep(0.5)
        return self._steps

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def _steps(self) -> int:
        return runs.read(self._folder).status.step


def write(part: str, found: Mapping[str, Any]) -> None:
    """Puts the part measured now in place of the one in the file, and shows it."""
    file = results.RESULTS / "training.json"
    old = json.loads(file.read_text()) if file.exists() else {}
    parts = {name: old[name] for name in PARTS if name in old}
    parts[part] = {"measured": date.today().isoformat(), **found}
    results.write("training", parts, {package: version(package) for package in PACKAGES})
    table = Table(title=part, show_header=False)
    for name, value in found.items():
        table.add_row(name, json.dumps(value, indent=1) if isinstance(value, dict) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
