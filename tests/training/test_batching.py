"""How the states of several rows are put together and parted."""

import torch

from training.batching import States, joined, parted

LAYERS, HEADS, DIMENSIONS = 2, 3, 4


def states_of(tokens: int) -> States:
    shape = (1, HEADS, tokens, DIMENSIONS)
    return [(torch.rand(shape), torch.rand(shape)) for _ in range(LAYERS)]


def test_what_is_joined_is_parted_unchanged() -> None:
    rows = [states_of(tokens) for tokens in (5, 2, 7)]

    apart = parted(joined(rows), [5, 2, 7])

    for row, found in zip(rows, apart, strict=True):
        for (keys, values), (found_keys, found_values) in zip(row, found, strict=True):
            assert torch.equal(keys, found_keys)
            assert torch.equal(values, found_values)


def test_joining_leaves_the_rows_own_states_alone() -> None:
    opening = states_of(3)
    cache = joined([opening])

    cache.update(torch.rand(1, HEADS, 1, DIMENSIONS), torch.rand(1, HEADS, 1, DIMENSIONS), 0)

    assert opening[0][0].shape == (1, HEADS, 3, DIMENSIONS)
    assert cache.get_seq_length() == 4


def test_rows_without_states_make_an_empty_cache() -> None:
    assert joined([()]).get_seq_length() == 0
