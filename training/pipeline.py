"""A run from its request to a LoRA: forecast, replay rows, fine-tune. Each stage leaves a file and is not done twice.

What judges and releases the LoRA follows as further stages: a stage is a function of the run that it takes part in.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from training import checkpoints, runs
from training.datasets import HELD_OUT, PREFERENCE, TRAIN
from training.errors import TrainingError, TrainingFailed, TrainingStopped
from training.examples import completion_row
from training.fine_tune import LORA, REPLAY, Progress, failures_in_words, fine_tune
from training.forecast import estimate, free_memory_mb, in_words, over_budget, peak_memory_mb, try_out
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

    def check_stop(self) -> None:
        if runs.should_stop(self.folder):
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
    return (forecast,) if request.is_forecast else (forecast, replay, train)


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
    if not _has_replay(work):  # they come once the forecast allows the run
        tokens = replace(tokens, train=round(tokens.train / (1 - work.recipe.replay_share)))
    found = estimate(trial, tokens, work.recipe, budget)
    work.telling.tell(forecast=in_words(found, budget), tokens_per_s=found.tokens_per_s, seconds_left=found.minutes * 60)
    reason = over_budget(found, budget, free_memory_mb() + peak_memory_mb())
    if reason:
        raise OverBudget(reason)
    _save_json(file, found.to_json())
    work.check_stop()


def replay(work: Work) -> None:
    """Freezes the replay rows of this run in its folder; a dataset that holds its own gets no more."""
    if _has_replay(work):
        return
    work.telling.tell(state="training", why="the base answers the replay prompts")
    cache = cache_of(work.recipe.base, work.folder.parent.parent / "replay")
    answered = replay_rows(work.recipe.base, read_prompts(), cache)
    kept = repeated(answered, replay_count(_lines(work.dataset / TRAIN), work.recipe.replay_share))
    lines = [json.dumps(completion_row(row), ensure_ascii=False) for row in kept]
    checkpoints.write(work.folder / REPLAY, "".join(f"{line}\n" for line in lines).encode())
    work.check_stop()


def _has_replay(work: Work) -> bool:
    """Whether the run's folder holds replay rows, or the dataset its own."""
    rows = map(json.loads, (work.dataset / TRAIN).read_text("utf-8").splitlines())
    return (work.folder / REPLAY).exists() or any(row.get("origin") == "replay" for row in rows)


def train(work: Work) -> None:
    """Leaves the LoRA and `losses.json`."""
    work.telling.tell(state="training", why="")
    file = work.folder / "losses.json"
    if not file.exists():

        def tell(progress: Progress) -> None:
            work.telling.tell(**asdict(progress))
            work.telling.log(asdict(progress))

        curve = fine_tune(work.recipe, work.dataset, work.folder, tell, partial(runs.should_stop, work.folder))
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
