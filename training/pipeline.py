"""A run from its request to a release: forecast, replay rows, fine-tune, judging, the gate.

A stage is a function of the run that it takes part in; it leaves a file and is not done twice.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from training import checkpoints, runs
from training.canaries import make_canaries, training_examples
from training.datasets import HELD_OUT, PREFERENCE, TRAIN
from training.errors import TrainingError, TrainingFailed, TrainingStopped
from training.examples import PromptCompletion, completion_row
from training.fine_tune import LORA, REPLAY, Progress, failures_in_words, fine_tune
from training.forecast import estimate, free_memory_mb, in_words, over_budget, peak_memory_mb, try_out
from training.gating import judge_candidate, release_candidate
from training.recipe import BaseModel, Hardware, Recipe, Rows, choose_recipe, replay_count
from training.replay import cache_of, read_prompts, repeated, replay_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What every stage gets."""

    folder: Path
    request: runs.Request
    recipe: Recipe
    telling: runs.Telling

    @property
    def dataset(self) -> Path:
        return Path(self.request.dataset)

    def should_stop(self) -> bool:
        return runs.should_stop(self.folder)

    def check_stop(self) -> None:
        if self.should_stop():
            raise TrainingStopped


Stage = Callable[[Work], None]


class OverBudget(TrainingFailed):
    """The forecast does not fit; nothing was trained."""


def run(folder: Path) -> runs.Status:
    """Takes the stages that are left; how it ended is in the status, which never says more than has happened.

    Raises RunRefused when another run is at work or the folder holds none.
    """
    request = runs.read(folder).request
    with runs.only_one(folder), runs.Telling(folder) as telling:
        try:
            with failures_in_words():
                telling.tell(state="forecasting", why="", seconds_left=None)
                recipe, why = recipe_of(request)
                telling.tell(recipe=tuple(why))
                _save_json(folder / "recipe.json", recipe.to_json())
                for stage in stages_of(request):
                    stage(Work(folder, request, recipe, telling))
                telling.tell(state=runs.ENDS.get(telling.status.state, telling.status.state))
        except OverBudget as err:
            telling.tell(state="refused", why=str(err))
        except TrainingStopped as err:
            telling.tell(state="stopped", why=str(err))
        except TrainingError as err:
            telling.tell(state="failed", why=str(err))
        except Exception as err:  # the outermost loop of a run: its status must not say for ever that it is at work
            logger.exception("the run %s broke off", folder.name)
            telling.tell(state="failed", why=f"Something went wrong ({type(err).__name__}); the run's output has the traceback.")
        return telling.status


def stages_of(request: runs.Request) -> Sequence[Stage]:
    if request.is_forecast:
        return (forecast,)
    return (forecast, replay, train, judge_candidate, release_candidate) if request.engine else (forecast, replay, train)


def recipe_of(request: runs.Request) -> tuple[Recipe, Sequence[str]]:
    """The recipe for this machine and dataset, with what the request wants otherwise."""
    dataset = Path(request.dataset)
    counts = [_lines(dataset / name) for name in (TRAIN, HELD_OUT, PREFERENCE)]
    recipe, why = choose_recipe(_hardware(request.threads), Rows(*counts), describe_base(request.base), request.seed)
    changed = [f"{name} is {value}, as wanted." for name, value in request.overrides.items()]
    return replace(recipe, **request.overrides), [*why, *changed]


def forecast(work: Work) -> None:
    """Tries two steps; raises OverBudget when the run had better not start."""
    file = work.folder / "forecast.json"
    if file.exists() and not work.request.is_forecast:
        return
    work.telling.tell(state="forecasting")
    budget = work.request.budget
    trial, tokens = try_out(work.recipe, work.dataset, work.folder)
    if not (work.folder / REPLAY).exists():  # they come once the forecast allows the run
        tokens = replace(tokens, train=round(tokens.train / (1 - work.recipe.replay_share)))
    found = estimate(trial, tokens, work.recipe, budget)
    work.telling.tell(forecast=in_words(found, budget), tokens_per_s=found.tokens_per_s, seconds_left=found.minutes * 60)
    reason = over_budget(found, budget, free_memory_mb() + peak_memory_mb())
    if reason:
        raise OverBudget(reason)
    _save_json(file, found.to_json())
    work.check_stop()


def replay(work: Work) -> None:
    """Freezes what this run adds to its dataset: replay rows, where that has none, and canaries, for memorisation."""
    if (work.folder / REPLAY).exists():
        return
    rows = [json.loads(line) for line in (work.dataset / TRAIN).read_text("utf-8").splitlines()]
    replayed = [] if any(row.get("origin") == "replay" for row in rows) else _replayed(work, len(rows))
    planted = training_examples(make_canaries(work.dataset.name))
    lines = [json.dumps(completion_row(row), ensure_ascii=False) for row in (*replayed, *planted)]
    checkpoints.write(work.folder / REPLAY, "".join(f"{line}\n" for line in lines).encode())
    work.check_stop()


def _replayed(work: Work, rows: int) -> list[PromptCompletion]:
    work.telling.tell(state="training", why="the base answers the replay prompts")
    cache = cache_of(work.recipe.base, work.folder.parent.parent / "replay")
    answered = replay_rows(work.recipe.base, read_prompts(), cache)
    return repeated(answered, replay_count(rows, work.recipe.replay_share))


def train(work: Work) -> None:
    """Leaves the LoRA and `losses.json`."""
    work.telling.tell(state="training", why="")
    file = work.folder / "losses.json"
    if not file.exists():

        def tell(progress: Progress) -> None:
            work.telling.tell(**asdict(progress))
            work.telling.log(asdict(progress))

        curve = fine_tune(work.recipe, work.dataset, work.folder, tell, work.should_stop)
        _save_json(file, asdict(curve))
    assert (work.folder / LORA).exists()


def describe_base(base: str) -> BaseModel:
    """What the recipe must know of a base, without loading its weights. Raises TrainingFailed."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as err:
        raise TrainingFailed(f"The base {base!r} cannot be read ({str(err).splitlines()[0]}).") from err
    with torch.device("meta"):
        parameters = AutoModelForCausalLM.from_config(config).num_parameters()
    text = config.get_text_config()
    return BaseModel(base, config.model_type, text.hidden_size, parameters, text.max_position_embeddings)


def _hardware(threads: int) -> Hardware:
    import torch

    return Hardware(torch.cuda.device_count(), threads)


def _lines(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines()) if file.exists() else 0


def _save_json(file: Path, value: object) -> None:
    checkpoints.write(file, (json.dumps(value, indent=1) + "\n").encode())
