"""A base model with a LoRA that learns: the loss of rows, an optimiser step, the weights as tensors. Knows no files and no plans.

Faster than a general trainer, by what it leaves out: logits only where a completion is predicted, the opening that rows share
read once for all of them, hardly any padding, no metrics but the loss.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.batching import can_join
from training.encoding import EncodedRow, micro_batches
from training.processes import Process
from training.recipe import Recipe

if TYPE_CHECKING:
    import torch

MAX_GRADIENT_NORM = 1.0  # as transformers' Trainer has it
CPU_MICRO_TOKENS = 768  # 2.2 GB in all with the built-in model; 1,600 tokens took 4.6 GB
GPU_MICRO_TOKENS = 16_384

Tensors = Mapping[str, "torch.Tensor"]


class Learner:
    """One process's copy of the model. `base` is loaded; its weights stay as they are."""

    def __init__(self, recipe: Recipe, base: Any, pad_token: int, process: Process) -> None:
        import torch

        torch.manual_seed(recipe.seed)
        self._can_share = can_join(base)
        # LoRA weights of the base's own type: a fifth faster than float32 ones beside bfloat16. What an update is too small to
        # change in bfloat16 adds up in the float32 copies.
        self.model = _with_lora(recipe, base).train()
        self._weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._copies = [weight.detach().float().clone().requires_grad_() for weight in self._weights]
        self._optimiser = torch.optim.AdamW(self._copies, weight_decay=0.0)
        self._pad_token = pad_token
        self._process = process
        self._micro_tokens = CPU_MICRO_TOKENS if process.device == "cpu" else GPU_MICRO_TOKENS

    def step(self, batch: Sequence[EncodedRow], rate: float) -> float:
        """Learns the batch at this learning rate; the mean loss a token before. A loss that is not finite changes nothing."""
        import torch

        loss, gradient = self.gradient(batch)
        if not (torch.isfinite(loss) and torch.isfinite(gradient).all()):
            return float("nan")
        gradient *= torch.clamp(MAX_GRADIENT_NORM / (gradient.norm() + 1e-6), max=1.0)
        parts = torch.split(gradient, [copy.numel() for copy in self._copies])
        for copy, part in zip(self._copies, parts, strict=True):
            copy.grad = part.view_as(copy)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._apply(self._copies)
        return float(loss)

    def gradient(self, batch: Sequence[EncodedRow]) -> tuple["torch.Tensor", "torch.Tensor"]:
        """(mean loss a token of the completions, its gradient as one vector in float32), of all processes together."""
        import torch

        for weight in self._weights:
            weight.grad = None
        total = torch.zeros(1, device=self._process.device)
        for rows in self._process.share(list(micro_batches(batch, self._micro_tokens))):
            loss = self._loss(rows) / sum(len(row.completion) for row in batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        flat = torch.cat([_gradient(weight).reshape(-1) for weight in self._weights])
        self._process.add_up(total)
        self._process.add_up(flat)
        return total, flat

    def loss(self, rows: Sequence[EncodedRow]) -> float:
        """The mean loss a token of the completions, without learning."""
        import torch

        total = torch.zeros(1, device=self._process.device)
        self.model.eval()
        with torch.inference_mode():
            for part in self._process.share(list(micro_batches(rows, self._micro_tokens))):
                total += self._loss(part)
        self.model.train()
        self._process.add_up(total)
        return float(total) / sum(len(row.completion) for row in rows)

    def weights(self) -> dict[str, "torch.Tensor"]:
        """The LoRA under the names that peft saves it by."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self.model, adapter_name="default")
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}

    def put_weights(self, weights: Tensors) -> None:
        """Takes the LoRA in place of its own. The optimiser goes on from its own copies, so this is for the end."""
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self.model, dict(weights), adapter_name="default")

    def state(self) -> dict[str, "torch.Tensor"]:
        """All that further steps depend on, by name."""
        found: dict[str, torch.Tensor] = {}
        for number, copy in enumerate(self._copies):
            found[f"copy.{number}"] = copy.detach().cpu()
            found |= {f"{name}.{number}": value.cpu() for name, value in self._optimiser.state[copy].items()}
        return found

    def put_state(self, state: Tensors) -> None:
        """The inverse of `state`, after at least one step."""
        import torch

        with torch.no_grad():
            for number, copy in enumerate(self._copies):
                copy.copy_(state[f"copy.{number}"])
                moments = {name: state[f"{name}.{number}"].to(copy.device) for name in ("exp_avg", "exp_avg_sq")}
                self._optimiser.state[copy] = {"step": state[f"step.{number}"], **moments}
        self._apply(self._copies)

    def _apply(self, copies: Sequence["torch.Tensor"]) -> None:
        import torch

        with torch.no_grad():
            for weight, copy in zip(self._weights, copies, strict=True):
                weight.copy_(copy)

    def _loss(self, rows: Sequence[EncodedRow]) -> "torch.Tensor":
        """The negative log-likelihood of the completions, summed."""
        import torch
        from torch.nn.functional import cross_entropy

        opening = rows[0].opening if self._can_share and len(rows) > 1 else ()
        ids, mask, predicts, targets = (tensor.to(self._process.device) for tensor in padded(rows, len(opening), self._pad_token))
        states = self._opening_states(torch.tensor([opening], device=ids.device), len(rows)) if opening else None
        logits = self.model(
            input_ids=ids, attention_mask=mask, past_key_values=states, use_cache=bool(opening), logits_to_keep=predicts
        ).logits  # (completion tokens of all rows, vocabulary)
        return cross_entropy(logits.reshape(len(targets), -1).float(), targets, reduction="sum")

    def _opening_states(self, opening: "torch.Tensor", rows: int) -> Any:
        """The states of an opening (1, tokens) as those of so many rows; gradients of all rows flow back through it."""
        from transformers import DynamicCache

        read = self.model(input_ids=opening, use_cache=True, logits_to_keep=1).past_key_values
        cache = DynamicCache()
        for number, layer in enumerate(read.layers):
            cache.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), number)
        return cache


def _with_lora(recipe: Recipe, base: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.target,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 by a deprecated name
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(base, config, autocast_adapter_dtype=False)


def padded(
    rows: Sequence[EncodedRow], read_tokens: int, pad: int
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """What follows the first `read_tokens` of each row, padded on the right: (ids, mask, predicts, targets).

    ids, predicts: (rows, tokens); mask: (rows, read_tokens + tokens); predicts marks the positions after which a token of a
    completion stands, targets (completion tokens of all rows) are these.
    """
    import torch

    texts = [[*row.prompt, *row.completion][read_tokens:] for row in rows]
    width = max(len(text) for text in texts)
    ids = [text + [pad] * (width - len(text)) for text in texts]
    mask = [[1] * (read_tokens + len(text)) + [0] * (width - len(text)) for text in texts]
    predicts = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        first = len(row.prompt) - read_tokens - 1
        predicts[number, first : first + len(row.completion)] = True
    targets = [token for row in rows for token in row.completion]
    return torch.tensor(ids), torch.tensor(mask), predicts, torch.tensor(targets)


def _gradient(weight: "torch.Tensor") -> "torch.Tensor":
    import torch

    return torch.zeros_like(weight, dtype=torch.float32) if weight.grad is None else weight.grad.float()
