"""The effective number of rows, against the definition."""

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.statistics.uniqueness import effective_rows


def by_definition(start, end):
    """Lopez de Prado's average uniqueness, bar by bar; a bar ends at each moment that occurs."""
    bars = sorted(set(start) | set(end))
    spans = [{bar for bar in bars if first < bar <= last} for first, last in zip(start, end, strict=True)]
    labels = {bar: sum(bar in span for span in spans) for bar in bars}
    return sum(np.mean([1 / labels[bar] for bar in span]) for span in spans)


@pytest.mark.parametrize("seed", range(10))
def test_random_spans_with_gaps(seed):
    rng = np.random.default_rng(seed)
    start = np.sort(rng.choice(200, 60, replace=False))
    end = start + rng.integers(1, 20, 60)
    assert effective_rows(start, end) == pytest.approx(by_definition(start.tolist(), end.tolist()), rel=1e-12)


def test_separate_labels_count_fully_and_overlapping_ones_by_the_horizon():
    start = np.arange(1000)
    assert effective_rows(start, start + 1) == pytest.approx(1000)
    assert effective_rows(start[::5], start[::5] + 5) == pytest.approx(200)
    assert effective_rows(start, start + 24) == pytest.approx(1000 / 24, rel=0.1)
    assert effective_rows(start[:0], start[:0]) == 0


def test_a_weekend_is_no_longer_than_an_hour():
    hours = np.arange("2021-01-01", "2021-02-01", dtype="datetime64[h]").astype("datetime64[us]")
    weekday = (hours.astype("datetime64[D]").astype(int) + 3) % 7
    open_hours = hours[weekday < 5]
    with_gaps = effective_rows(open_hours[:-6], open_hours[6:])
    assert with_gaps == pytest.approx(effective_rows(hours[: len(open_hours) - 6], hours[6 : len(open_hours)]))


def test_a_label_that_ends_before_it_begins_is_refused():
    with pytest.raises(StudyError, match="label of 7 ends at 7"):
        effective_rows(np.array([5, 7]), np.array([9, 7]))
