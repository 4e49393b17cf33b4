"""What a comparison of two artifacts comes to: the same words in the log, the csv and on the page."""

SURE = 0.05  # p, adjusted for all comparisons, below which a difference is said


def outcome(comparison):
    """Better or worse, or why neither may be said: not asked (of both), one group, equal (differences, in too few
    groups), noise (the interval contains 0), single (p of its own), holm (p of all)."""
    difference, low, high, p, p_holm = (comparison.get(key) for key in ("difference", "low", "high", "p", "p_holm"))
    if comparison["n"] == 0:
        return "not asked"
    unsure = p_holm is None or p_holm >= SURE
    if low is None or low == high != 0:
        # groups that all differ alike have no interval, but many of them are no chance
        if comparison["groups"] < 2:
            return "one group"
        if unsure:
            return "equal"
    elif low <= 0 <= high:
        return "noise"
    elif unsure:
        return "single" if p is None or p >= SURE else "holm"
    return "better" if (difference > 0) == (comparison["better"] == "higher") else "worse"
