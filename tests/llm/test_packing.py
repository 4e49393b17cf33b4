"""Packing changes how a step is computed, never what is in it."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.llm import packing

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)
# the same cases in every run
drawn = settings(deadline=None, derandomize=True, max_examples=150)


def stream_of(batches):
    return [each for batch in batches for each in batch]


@drawn
@given(number=st.integers(1, 80), batch=st.integers(1, 20), epochs=st.integers(1, 4), seed=st.integers(0, 5))
def test_every_sample_comes_once_in_each_epoch(number, batch, epochs, seed):
    batches = packing.draw_batches(number, batch, epochs, seed)
    stream = stream_of(batches)
    for epoch in range(epochs):
        assert sorted(stream[epoch * number : (epoch + 1) * number]) == list(range(number))
    assert len(stream) == epochs * number
    assert [len(each) for each in batches[:-1]] == [batch] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= batch


@drawn
@given(number=st.integers(4, 80), share=st.floats(0.05, 0.95), whole=st.integers(0, 2))
def test_a_fraction_of_an_epoch_is_the_first_part_of_its_order(number, share, whole):
    part = stream_of(packing.draw_batches(number, 7, whole + share, 3))
    everything = stream_of(packing.draw_batches(number, 7, whole + 1, 3))
    assert part == everything[: len(part)]
    assert abs(len(part) - number * (whole + share)) <= 1
    rest = part[whole * number :]
    assert len(set(rest)) == len(rest) >= 1


def test_epochs_and_seeds_have_orders_of_their_own():
    stream = stream_of(packing.draw_batches(50, 8, 2, 7))
    assert stream[:50] != stream[50:] != list(range(50))
    assert stream != stream_of(packing.draw_batches(50, 8, 2, 8))
    assert stream == stream_of(packing.draw_batches(50, 8, 2, 7))
    assert stream_of(packing.draw_batches(5, 2, 2, 7, shuffle=False)) == [0, 1, 2, 3, 4] * 2


@drawn
@given(lengths=LENGTHS, batch=st.integers(1, 16), capacity=st.integers(20, 120))
def test_a_step_keeps_its_samples_whatever_its_rows(lengths, batch, capacity):
    batches = packing.draw_batches(len(lengths), batch, 2, 1)
    steps, rows = packing.pack(batches, lengths, capacity)
    assert [sorted(stream_of(step)) for step in steps] == [sorted(each) for each in batches]
    # the trainer accumulates over a fixed number of rows; only the last step may have too few samples for it
    assert all(len(step) == rows for step in steps[:-1])
    assert len(steps[-1]) == min(rows, len(batches[-1]))
    assert all(row for step in steps for row in step)


@drawn
@given(lengths=LENGTHS, batch=st.integers(1, 16), capacity=st.integers(20, 120))
def test_no_row_is_longer_than_the_capacity_or_its_only_sample(lengths, batch, capacity):
    steps, _ = packing.pack(packing.draw_batches(len(lengths), batch, 1, 1), lengths, capacity)
    for row in stream_of(steps):
        assert sum(lengths[each] for each in row) <= capacity or len(row) == 1


def test_rows_that_first_fit_fills_to_the_brim_do_not_run_over_when_they_are_balanced():
    # 5 + 5 and 4 + 3 + 3 fit in two rows of 10; longest first into the shortest row makes 9 and 11
    steps, _ = packing.pack([[0, 1, 2, 3, 4]], [5, 5, 4, 3, 3], 10)
    assert max(sum([5, 5, 4, 3, 3][each] for each in row) for row in steps[0]) <= 10


@drawn
@given(lengths=LENGTHS, capacity=st.integers(20, 120))
def test_rows_of_a_step_are_about_equally_long(lengths, capacity):
    (step,), rows = packing.pack([list(range(len(lengths)))], lengths, capacity)
    sizes = [sum(lengths[each] for each in row) for row in step]
    # a row would have been given its shortest sample only if it was the shortest row then
    assert max(sizes) - min(sizes) <= max(lengths)
    assert rows == 1 or sum(lengths) > capacity or max(lengths) > capacity


def test_packing_is_worth_it():
    lengths = [200 + 10 * each for each in range(16)]
    steps, rows = packing.pack([list(range(16))], lengths, 1024)
    assert rows <= -(-sum(lengths) // 1024) + 1
    assert packing.one_by_one([list(range(16))]) == ([[[each] for each in range(16)]], 16)


def test_equal_lengths_are_packed_in_the_order_of_their_places():
    steps, _ = packing.pack([[3, 1, 2, 0]], [10] * 4, 20)
    assert steps == packing.pack([[0, 1, 2, 3]], [10] * 4, 20)[0] == [[[0, 2], [1, 3]]]
    assert all(a <= b for row in steps[0] for a, b in pairwise(row))


def test_nothing_to_pack_is_no_step():
    assert packing.pack([], [], 100) == ([], 1)
