"""The study on one page: its markets, its verdicts in plain words, how it was measured, what must not be compared."""

from scripts.report import html_tables as html
from scripts.report.gate_table import STYLES

MARKET_HEAD = ("market", "source", "symbols", "bars", "from", "to", "rows", "kept out", "findings", "oracle AUC")
PROTOCOL = (
    "Folds walk forward: train, validation (the tail of train, where it chooses the number of rounds), test. Rows "
    "whose label ends in a later window are purged. Folds are counted on the market's calendar and never move.",
    "Every AUC comes from out-of-fold rows, predicted by a model that saw nothing at or after them, or from the "
    "hold-out, which one rule reads, once, after everything was trained.",
    "The meta-model is fitted walk-forward on out-of-fold predictions, so its own predictions are out-of-fold as well.",
    "The AUC is pooled over all rows. Its 95 % interval is DeLong's at the effective number of rows: labels that "
    "overlap count less than one each.",
    "Better than noise means: a higher AUC than all but the given share of the circular shifts of the labels.",
    "The AUC by which early stopping chose the rounds is shown hollow and is never a result; AUCs of single windows "
    "are biased and never gated.",
)
NOT_COMPARABLE = (
    "AUCs of different markets, targets, timeframes or labels: the rows differ, and so does what chance reaches.",
    "AUCs on different rows of one stack: base models and stack are compared on the rows that all of them predict.",
    "Out-of-fold rows and hold-out: the exported model is a new fit, and the hold-out another time.",
    "The oracle's AUC and the stack's, as if it could be reached: the oracle knows a simulated market's hidden state.",
)


def market_row(name, source, manifest, quality, metadata):
    """A market's row of ``MARKET_HEAD`` from the contents of its manifest, quality and asset_metadata files."""
    symbols = manifest["symbols"]
    severities = {}
    for each in quality["symbols"].values():
        for severity, number in each["severities"].items():
            severities[severity] = severities.get(severity, 0) + number
    found = ", ".join(f"{severities[each]} {each}" for each in ("error", "warning", "info") if severities.get(each))
    unseen = [symbol for symbol, each in metadata["symbols"].items() if each["unseen"]]
    listed = ", ".join(list(symbols)[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    return [
        name,
        source,
        html.lines(listed, html.span(f"unseen: {', '.join(unseen)}", "quiet") if unseen else None),
        f"{manifest['timeframe']}, {manifest['calendar']}",
        html.moment(manifest["first"]),
        html.moment(manifest["last"]),
        f"{quality['rows']['kept']:,}",
        f"{quality['rows']['quarantined']:,}",
        found or "none",
        oracle(metadata),
    ]


def oracle(metadata):
    """The range of the symbols' oracle AUCs, where the market is simulated with a signal."""
    known = [(each["notes"] or {}).get("oracle_auc") for each in metadata["symbols"].values()]
    values = [each["auc"] for each in known if each]
    if not values:
        return None
    low, high = min(values), max(values)
    return f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"


def stack_row(stack, plan, gate, metrics):
    """A stack's row: its name, verdict and a sentence or two."""
    verdict = html.span(gate["verdict"], STYLES[gate["verdict"]])
    return [html.span(" · ".join(stack), "name"), verdict, sentence(plan, gate, metrics)]


def sentence(plan, gate, metrics):
    """What happened to a stack, in plain words."""
    if gate["verdict"] == "skipped":
        return f"Not trained: {gate['reason']}."
    said = [_performance(metrics["oof"], f"out-of-fold rows of {len(plan['folds'])} folds"), _against_noise(gate)]
    if metrics["test"]:
        said.append(_performance(metrics["test"], "hold-out rows"))
    else:
        said.append("No hold-out is configured.")
    if gate["verdict"] == "refused":
        said.append(f"Refused: {gate['reason']}.")
    return " ".join(each for each in said if each)


def page(title, note, study, markets, stacks):
    """The page as text; ``markets`` and ``stacks`` are rows as from the functions above."""
    return html.page(
        title,
        html.paragraph(f"Study {study}."),
        *([html.paragraph(note)] if note else []),
        html.heading("Verdicts"),
        html.table(("stack", "verdict", "in plain words"), stacks)
        if stacks
        else html.paragraph("No ensemble is configured."),
        html.heading("Markets"),
        html.table(MARKET_HEAD, markets, numbers=(6, 7, 9)) if markets else html.paragraph("No market is configured."),
        html.heading("How it was measured"),
        html.items(PROTOCOL),
        html.heading("What must not be compared"),
        html.items(NOT_COMPARABLE),
    )


def _against_noise(gate):
    rule = next((rule for rule in gate["rules"] if rule["name"] == "better_than_noise"), None)
    if rule is None or rule["value"] is None:
        return None
    said = "Better than noise" if rule["passed"] else "Not shown to be better than noise"
    return f"{said} (p = {rule['value']:.2g})."


def _performance(part, rows):
    score = part["scores"]["stack"]
    said = f"{part['rows']:,} {rows} ({part['effective_rows']:,.0f} effective)"
    if score["auc"] is None:
        return f"No AUC on {said}."
    return f"AUC {score['auc']:.3f} [{score['low']:.3f}, {score['high']:.3f}] on {said}."
