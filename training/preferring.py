"""The second stage, where a recipe has one: DPO on pairs of answers of which people want the first, by trl's trainer.

The reference is the LoRA as it came out of SFT. A kill here costs this stage; SFT's checkpoint stays.
"""

import json
import math
import warnings
from pathlib import Path
from typing import Any

from training.errors import TrainingFailed
from training.processes import Process
from training.recipe import Recipe

BATCH_PAIRS = 2  # of each process and step: a pair takes four forward passes


def prefer(recipe: Recipe, preferences: Path, model: Any, tokenizer: Any, process: Process) -> None:
    """Moves the LoRA of the peft model towards the chosen answers. Raises TrainingFailed."""
    try:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer
    except ImportError as err:
        raise TrainingFailed(f"DPO needs `pip install 'timbre-bot[training]'` ({err}).") from err
    pairs = [json.loads(line) for line in preferences.read_text("utf-8").splitlines()]
    rows = [{name: pair[name] for name in ("prompt", "chosen", "rejected")} for pair in pairs]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    dtype = weights[0].dtype
    for weight in weights:  # steps of 1e-5 round away in bfloat16
        weight.data = weight.data.float()
    config = DPOConfig(
        output_dir=str(preferences.parent),  # nothing is saved there
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        per_device_train_batch_size=BATCH_PAIRS,
        num_train_epochs=1,
        learning_rate=recipe.dpo_learning_rate,
        beta=recipe.dpo_beta,
        loss_type=["sigmoid", "sft"],  # with the plain loss: alone, DPO lets the chosen answer become less likely, too
        loss_weights=[1.0, 1.0],
        max_length=recipe.max_tokens,
        activation_checkpointing=False,
        bf16=False,  # the weights are bfloat16 already
        use_cpu=process.device == "cpu",
        seed=recipe.seed,
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 by a deprecated name
        warnings.simplefilter("ignore", FutureWarning)
        trainer = DPOTrainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        loss = trainer.train().training_loss
    if not math.isfinite(loss):
        raise TrainingFailed("The loss of DPO is no number; look at the pairs, or train by SFT alone.")
    for weight in weights:
        weight.data = weight.data.to(dtype)
