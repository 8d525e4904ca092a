"""A model of a few thousand weights with the built-in model's tokenizer, and LoRAs for it as peft saves them, at random."""

import json
import sys
from pathlib import Path

TOKENIZER = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
RANK, WIDTH, LAYERS = 2, 32, 2
MODULES = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]


def write_model(folder: Path) -> Path:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    sizes = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": LAYERS, **heads}
    config = LlamaConfig(vocab_size=49152, bos_token_id=1, eos_token_id=2, pad_token_id=2, initializer_range=0.2, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return folder


def write_lora(folder: Path, seed: int) -> Path:
    """Each seed makes the model say something else."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    weights = {}
    for layer in range(LAYERS):
        for module in MODULES:
            name = f"base_model.model.model.layers.{layer}.{module}"
            weights[f"{name}.lora_A.weight"] = torch.randn(RANK, WIDTH) / WIDTH**0.5
            weights[f"{name}.lora_B.weight"] = torch.randn(WIDTH, RANK) / 2
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": "all-linear"}
    base = {"base_model_name_or_path": str(folder.parents[1] / "base")}
    (folder / "adapter_config.json").write_text(json.dumps({**config, **base}))
    return folder
