"""The processes that share a fine-tune: one on a CPU or a GPU, or one a GPU under torchrun, never fewer than wanted.

`accelerate launch --cpu --num_processes 2` silently ran one (research/training.md, section 6); a wrong number fails here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.errors import TrainingFailed

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Process:
    """One of `count`; the first, number 0, tells and writes."""

    number: int
    count: int
    device: str

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def share(self, parts: Sequence[Any]) -> Sequence[Any]:
        """The parts that this process computes."""
        return parts[self.number :: self.count]

    def add_up(self, tensor: "torch.Tensor") -> None:
        """Replaces a tensor by its sum over all processes."""
        if self.count > 1:
            from torch import distributed

            distributed.all_reduce(tensor)


def join(wanted: int) -> Process:
    """This process among those that torchrun started, or alone. Raises TrainingFailed when they are not as many as wanted."""
    import torch
    from torch import distributed

    count, number = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    if count != wanted:
        raise TrainingFailed(f"The recipe wants {wanted} processes and {count} run; start it with `python -m training`.")
    device = f"cuda:{number}" if torch.cuda.is_available() else "cpu"
    if count > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        assert distributed.get_world_size() == wanted
    return Process(number, count, device)


def run_together(module: str, arguments: Sequence[str], count: int, on_line: Callable[[Mapping[str, Any]], None]) -> None:
    """`python -m MODULE` in so many processes (torchrun), of which the first tells JSON lines.

    Raises TrainingFailed with the line `{"failed": "..."}`; whatever `on_line` raises ends the processes.
    """
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m")
    failure = ""
    with subprocess.Popen([*torchrun, module, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    told = json.loads(line)
                    failure = told.get("failed", failure)
                    on_line(told)
        except BaseException:
            process.terminate()  # torchrun ends its children
            raise
    if failure or process.returncode:
        raise TrainingFailed(failure or f"One of the {count} training processes ended with status {process.returncode}.")
