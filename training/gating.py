"""What follows a fine-tune: the LoRA is judged beside what serves and the base, the gate decides, what passed becomes a release.

Each stage leaves a file in the run's folder and is not done twice. What the engine does around a model is told by a function that
the request names, since training knows no engine.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import checkpoints, datasets
from training.errors import TrainingStopped
from training.evaluation import Engine, System, judge
from training.fine_tune import LORA
from training.gate import GateDecision, decide
from training.registry import ReleaseRegistry
from training.releases import ROLLBACK
from training.report import RunRecord, page, summary
from training.scores import EvaluationReport, Role, report_from_json, report_to_json
from training.weights import base_sha256

if TYPE_CHECKING:
    from training.inference import Inference
    from training.pipeline import Work

logger = logging.getLogger(__name__)

SCORES, DECISION, PAGE = "report.json", "decision.json", "report.html"
EngineOf = Callable[[Sequence[str]], tuple[Engine, str]]
"""engine_of(phrases): what the engine does around a model whose voice has these phrases, and the style guide's checks."""


def judge_candidate(work: "Work") -> None:
    """Leaves `report.json`. Raises RubricInvalid, ModelUnavailable, or FolderCorrupt."""
    from training.inference import Inference

    file = work.folder / SCORES
    if file.exists():
        return
    dataset = datasets.read(work.dataset.parent, work.dataset.name)
    engine, checks = _engine_of(work.request.engine)(dataset.manifest["phrases"])
    inference = Inference(work.recipe.base)

    def tell(what: str, done: int, steps: int) -> None:
        work.telling.tell(state="judging", why=what, step=done, steps=steps)
        if work.should_stop():
            raise TrainingStopped

    try:
        systems = _systems(work, inference)
        found = judge(dataset, systems, checks, engine, tell)
    finally:
        inference.close()
    _save(file, report_to_json(found))


def release_candidate(work: "Work") -> None:
    """Leaves `decision.json` and the page; a LoRA that passed is a release from now on, and serves where that was asked for."""
    report = report_from_json(json.loads((work.folder / SCORES).read_text("utf-8")))
    decision = decide(report)
    _save(work.folder / DECISION, asdict(decision))
    manifest = datasets.read(work.dataset.parent, work.dataset.name).manifest
    checkpoints.write(work.folder / PAGE, page(report, decision, _record(work, manifest)).encode())
    said = summary(report, decision)
    logger.info("%s", said)
    if not decision.passed:
        work.telling.tell(state="refused", why=said, report=str(work.folder / PAGE))
        return
    registry = _registry(work)
    release = registry.add(work.folder / LORA, _card(work, report, decision, manifest["phrases"]), [work.folder / PAGE])
    if work.request.is_promoted:
        registry.promote(release)
    work.telling.tell(state="passed", why=said, release=release, report=str(work.folder / PAGE))


def _systems(work: "Work", inference: "Inference") -> dict[Role, System]:
    systems: dict[Role, System] = {"base": _system("base", inference, None, work)}
    serving = _registry(work).current().release
    if serving:
        systems["current"] = _system(serving.id, inference, serving.lora_dir, work)
    systems["candidate"] = _system(work.folder.name, inference, work.folder / LORA, work)
    return systems


def _system(name: str, inference: "Inference", lora: Path | None, work: "Work") -> System:
    if lora:
        inference.prepare(lora)
    nothing = inference.count_tokens([{"role": "assistant", "content": ""}])
    return System(
        name,
        partial(inference.generate_all, max_new_tokens=work.request.max_new_tokens, lora=lora),
        partial(inference.negative_log_likelihoods, lora=lora),
        lambda text: inference.count_tokens([{"role": "assistant", "content": text}]) - nothing,
    )


def _registry(work: "Work") -> ReleaseRegistry:
    folder = work.folder.parent.parent / "releases"
    return ReleaseRegistry(folder, partial(base_sha256, work.recipe.base, folder / "base.json"))


def _engine_of(name: str) -> EngineOf:
    """`package.module:function`, as servers name applications."""
    module, _, function = name.partition(":")
    found: EngineOf = getattr(import_module(module), function)
    return found


def _card(work: "Work", report: EvaluationReport, decision: GateDecision, phrases: Sequence[str]) -> dict[str, Any]:
    return {
        "base": work.request.base_name,
        "dataset": work.dataset.name,
        "parent": report.releases.get("current", ""),
        "run": work.folder.name,
        "recipe": work.recipe.to_json() | {"base": work.request.base_name},
        "scores": report_to_json(report)["scores"],
        "decision": asdict(decision),
        "phrases": list(phrases),
        "may_word": decision.may_word,
    }


def _record(work: "Work", manifest: Mapping[str, Any]) -> RunRecord:
    curve: Mapping[str, Any] = json.loads((work.folder / "losses.json").read_text("utf-8"))
    losses = {side: [(point["step"], point["loss"]) for point in curve[side]] for side in ("train", "validation")}
    started = datetime.strptime(work.folder.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return RunRecord(
        release=work.folder.name,
        base=work.request.base_name,
        parent="",
        made_at=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        minutes=(datetime.now(UTC) - started).total_seconds() / 60,
        dataset=manifest,
        recipe=work.recipe.to_json() | {"base": work.request.base_name},
        why=work.telling.status.recipe,
        train_loss=losses["train"],
        validation_loss=losses["validation"],
        rollback=ROLLBACK,
    )


def _save(file: Path, value: object) -> None:
    checkpoints.write(file, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
