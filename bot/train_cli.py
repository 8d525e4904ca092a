"""`timbre train`: run, forecast, status, stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bot import printing
from bot.errors import CommandRejected
from bot.printing import console, print_json
from bot.terminal import settings_in_force
from bot.training_runs import OnRun, TrainingRuns, in_words, run_object, step_in_words
from training.runs import Run

train = typer.Typer(
    no_args_is_help=True,
    help="Train a voice of your own on a dataset.\n\n"
    "First [bold]timbre dataset build[/bold], then [bold]timbre train forecast[/bold] (minutes, memory, cost) and "
    "[bold]timbre train run[/bold]. A run that was killed or stopped goes on from its last checkpoint, at most 20 seconds "
    "back, when [bold]timbre train run[/bold] is called again.",
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON: a line a change, the last one is the result.")]
DatasetOption = Annotated[str, typer.Option(help="A version from `timbre dataset list`; default: the current one.")]


@train.command("run")
def run(
    dataset: DatasetOption = "",
    promote: Annotated[
        bool, typer.Option("--promote", help="Let a release that passes serve at once, without the canary.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; the run goes on without this terminal.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train, and show how it goes.

    It runs with the lowest priority in a process of its own. Ctrl-C stops it after the step it is at; with --detach it goes
    on, and `timbre train status` and `timbre train stop` are for it. It does not start when its forecast is over the budget
    (TIMBRE_TRAINING__MAX_MINUTES, TIMBRE_TRAINING__MEMORY_MB).
    """
    training = _training()
    started = training.start(dataset, is_promoted=promote)
    if detach:
        _print(started, as_json)
        return
    ended = _followed(training, started, as_json)
    _print(ended, as_json)
    if ended.is_cut_off or ended.status.state in ("failed", "refused"):
        raise typer.Exit(1)


@train.command("forecast")
def forecast(dataset: DatasetOption = "", as_json: JsonOption = False) -> None:
    """Say how many minutes, how much memory and money a run would take, from a trial of two steps."""
    training = _training()
    ended = _followed(training, training.start(dataset, is_forecast=True), as_json)
    if as_json:
        print_json(run_object(ended))
    else:
        for reason in ended.status.recipe:
            console.print(f"- {reason}", markup=False)
        console.print(f"A run takes {ended.status.forecast}." if ended.status.forecast else in_words(ended), markup=False)
        if ended.status.state == "refused":
            printing.complain(ended.status.why, "yellow")
    if ended.is_cut_off or ended.status.state == "failed":
        raise typer.Exit(1)


@train.command("status")
def status(as_json: JsonOption = False) -> None:
    """Show the run that is at work, or the last one."""
    _print(_training().last(), as_json)


@train.command("stop")
def stop(as_json: JsonOption = False) -> None:
    """Stop the run at work after its step; `timbre train run` goes on with it."""
    _print(_training().stop(), as_json)


def _training() -> TrainingRuns:
    return TrainingRuns(settings_in_force(), printing.notify)


def _followed(training: TrainingRuns, run: Run, as_json: bool) -> Run:
    """Until the run ends; Ctrl-C stops it, and a second one only stops looking on."""
    with _shown(as_json) as show:
        try:
            return training.follow(run, show)
        except KeyboardInterrupt:
            try:
                training.stop()
            except CommandRejected:  # it has just ended
                return training.follow(run, show)
            printing.notify("stopping after this step")
            return training.follow(run, show)


@contextmanager
def _shown(as_json: bool) -> Iterator[OnRun]:
    if as_json:
        last: list[Run] = []

        def tell(run: Run) -> None:
            if not last or (run.status.state, run.status.step) != (last[-1].status.state, last[-1].status.step):
                last[:] = [run]
                print_json(run_object(run))

        yield tell
        return
    with printing.progress() as bar:
        yield lambda run: bar(step_in_words(run), run.status.step, run.status.steps)


def _print(run: Run | None, as_json: bool) -> None:
    if as_json:
        print_json(run_object(run))
    else:
        console.print(in_words(run) if run else "There was no run yet.", markup=False, soft_wrap=True)
