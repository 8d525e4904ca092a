"""The recipe picks itself from hardware and data, and says why."""

import pytest

from training.recipe import BaseModel, Hardware, Recipe, Rows, choose_recipe, learning_rate, replay_count, steps_of

SMOL = BaseModel("smol", "llama", 576, 134_500_000, 8192)
LLAMA = BaseModel("llama", "llama", 4096, 8_000_000_000, 131_072)
QWEN = BaseModel("qwen", "qwen2", 1536, 1_500_000_000, 32_768)
CPU, GPUS = Hardware(0, 1), Hardware(2, 1)


def chosen(rows: int = 120, base: BaseModel = SMOL, hardware: Hardware = CPU, preferences: int = 0) -> Recipe:
    return choose_recipe(hardware, Rows(rows, 20, preferences), base)[0]


def test_the_learning_rate_follows_the_size_of_the_base() -> None:
    assert (learning_rate("llama", 576), learning_rate("llama", 4096)) == (0.001322, 0.000286)
    assert learning_rate("qwen2", 1536) == 0.00051


@pytest.mark.parametrize(
    ("rows", "batch", "epochs"), [(20, 4, 3), (120, 4, 3), (185, 4, 3), (300, 8, 3), (600, 16, 3), (5000, 16, 2)]
)
def test_batches_grow_with_the_data_and_epochs_shrink(rows: int, batch: int, epochs: int) -> None:
    recipe = chosen(rows)

    assert (recipe.batch_rows, recipe.epochs) == (batch, epochs)


def test_forty_rows_make_a_run_of_some_forty_steps() -> None:
    recipe = chosen(40)

    assert steps_of(40 + replay_count(40, recipe.replay_share), recipe) == 39


def test_a_small_base_gets_a_small_lora_and_alpha_is_twice_the_rank() -> None:
    ranks = [(recipe.rank, recipe.alpha) for recipe in map(chosen, [120] * 3, (SMOL, LLAMA, QWEN))]

    assert ranks == [(8, 16), (16, 32), (16, 32)]


@pytest.mark.parametrize(
    ("hardware", "preferences", "method"), [(CPU, 100, "sft"), (GPUS, 19, "sft"), (GPUS, 20, "sft+dpo"), (GPUS, 0, "sft")]
)
def test_preferences_are_learnt_where_there_are_enough_and_a_gpu(hardware: Hardware, preferences: int, method: str) -> None:
    assert chosen(hardware=hardware, preferences=preferences).method == method


def test_every_gpu_gets_a_process_and_a_cpu_one() -> None:
    assert [chosen(hardware=hardware).processes for hardware in (CPU, GPUS)] == [1, 2]


def test_replay_rows_make_up_their_share_of_the_whole() -> None:
    count = replay_count(120, 0.18)

    assert count == 27
    assert count / (120 + count) == pytest.approx(0.18, abs=0.005)


def test_each_choice_is_explained() -> None:
    _, why = choose_recipe(CPU, Rows(120, 20, 3), SMOL)

    text = "\n".join(why)
    for reason in ("CPU, 1 thread", "rank 8", "0.0013", "120 rows: 3 epochs in batches of 4, 111 steps", "20 rows held out"):
        assert reason in text
    assert "DPO left out" in text
