"""Trainings that failed, on one page: what happened where, the figures that show it, and what to do."""

from scripts.common.atomic import write_text
from scripts.report import html_tables as html

NAMES = {
    "diverged": "diverged",
    "non_finite": "numbers that are not finite",
    "out_of_memory": "out of memory",
    "out_of_disk": "out of disk space",
    "no_gpu": "no GPU",
    "wrong_reference": "not its reference",
    "killed": "ended from outside",
    "error": "error",
}
HEAD = ("what", "job", "step", "evidence", "remedy", "checkpoint kept", "resolved")


def page(records):
    """The page as text. ``records``: those of :func:`scripts.common.training.failures.read_all`; open ones first."""
    if not records:
        return html.page("Failed trainings", html.paragraph("No training failed."))
    still = sum(not record["resolved"] for record in records)
    count = "One training" if len(records) == 1 else f"{len(records)} trainings"
    said = f"{count} failed: {still} not resolved, {len(records) - still} resolved by a later success of the same job."
    rows = [_row(record) for record in sorted(records, key=lambda record: record["resolved"])]
    return html.page("Failed trainings", html.paragraph(said), html.table(HEAD, rows, numbers=(2,)))


def write(path, records):
    """Write the page of ``records``."""
    write_text(path, page(records))


def lines(records):
    """``records`` as lines for a terminal: what failed, and what to do."""
    return [
        f"failed: {each['rule']} {each['key']}: {NAMES.get(each['class'], each['class'])}; {each['remedy']}"
        for each in records
    ]


def _row(record):
    kind, checkpoint = record["class"], record["checkpoint"]
    evidence = (f"{name.replace('_', ' ')}: {_figure(value)}" for name, value in record["evidence"].items())
    kept = f"step {checkpoint['step']}: {', '.join(checkpoint['files'])}" if checkpoint else None
    return [
        html.span(NAMES.get(kind, kind), "skip" if record["resolved"] else "bad"),
        html.lines(html.span(record["rule"], "name"), record["key"]),
        None if record["step"] is None else f"{record['step']:,}",
        html.span(html.lines(*evidence), "quiet"),
        record["remedy"],
        kept,
        html.span("yes", "met") if record["resolved"] else html.span("no", "failed"),
    ]


def _figure(value):
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not known" if value is None else value
