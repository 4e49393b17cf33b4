"""The verdicts on all stacks in one table: every rule with its figure, and why a stack was skipped or refused."""

from scripts.report import html_tables as html

RULES = {
    "min_rows_to_deploy": "rows, to deploy",
    "min_auc": "AUC, high enough",
    "max_auc": "AUC, not too good",
    "better_than_noise": "p, better than noise",
    "max_test_gap": "gap to the hold-out",
    "test_max_auc": "hold-out AUC, not too good",
    "test_against_best_base": "hold-out AUC, against the best base",
}
STYLES = {"accepted": "good", "refused": "bad", "skipped": "skip"}
SIGNS = {">=": "≥", "<=": "≤"}
PARTS = ("oof", "test")


def records(stacks, gates, metrics):
    """One flat dict per stack, as the csv has them; figures that a stack does not have are None.

    ``stacks``: ``[[ensemble, target, timeframe], ...]``; ``gates``, ``metrics``: the contents of gate.json and
    metrics.json in the same order.
    """
    rows = []
    for (ensemble, target, timeframe), gate, figures in zip(stacks, gates, metrics, strict=True):
        row = {"ensemble": ensemble, "target": target, "timeframe": timeframe}
        row |= {"verdict": gate["verdict"], "reason": gate["reason"]}
        row["planned_oof_rows"] = figures["decision"]["rows"]["oof"]
        for part in PARTS:
            found = figures.get(part) or {}
            score = found.get("scores", {}).get("stack") or {}
            row |= {f"{part}_rows": found.get("rows"), f"{part}_effective_rows": found.get("effective_rows")}
            row |= {f"{part}_auc": score.get("auc")}
            row |= {f"{part}_auc_{end}": score.get(end) for end in ("low", "high")}
        known = {rule["name"]: rule for rule in gate["rules"]}
        for name in [*RULES, *(each for each in known if each not in RULES)]:
            rule = known.get(name, {})
            row |= {f"{name}{end}": rule.get(key) for end, key in (("", "value"), ("_threshold", "threshold"))}
            row[f"{name}_passed"] = rule.get("passed")
        rows.append(row)
    return rows


def page(stacks, gates, metrics):
    """The page with a row per stack."""
    rows = records(stacks, gates, metrics)
    names = list(dict.fromkeys([*RULES, *(rule["name"] for gate in gates for rule in gate["rules"])]))
    head = ["stack", "verdict", "out-of-fold AUC", "hold-out AUC", *(RULES.get(name, name) for name in names)]
    table = []
    for row, gate in zip(rows, gates, strict=True):
        cells = [_stack(row), html.span(row["verdict"], STYLES[row["verdict"]])]
        if gate["rules"]:
            cells += [_auc(row, "oof"), _auc(row, "test"), *(_rule(gate, name) for name in names)]
        else:
            cells.append(row["reason"])
        table.append(cells)
    refused = [html.lines(_stack(row), row["reason"]) for row in rows if row["verdict"] == "refused"]
    count = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in STYLES}
    told = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    return html.page(
        "Gates",
        html.paragraph(f"{len(rows)} stack{'s' * (len(rows) != 1)}: {told or 'none'}."),
        html.table(head, table),
        *([html.heading("Why refused"), html.items(refused)] if refused else []),
        html.heading("How to read it"),
        html.items(
            [
                "Gates read pooled out-of-fold and hold-out rows. A score that chose a stopping point is no result.",
                "Brackets are 95 % intervals at the effective number of rows: labels that overlap count less than one.",
                "Too good fails too: an AUC above the upper bound has most likely seen the future.",
                "Each rule shows its figure and, below, what it must be; the csv beside this page has every digit.",
                "A refused stack is trained and exported all the same; only its promotion is blocked.",
                "A skipped stack is a decision taken before training; it has no models.",
            ]
        ),
    )


def outcome(rule):
    """A rule's figure and its limit as two texts: ``0.612`` and ``≥ 0.55``."""
    return number(rule["value"]), f"{SIGNS[rule['comparison']]} {number(rule['threshold'])}"


def number(value):
    """A figure in few digits: 21,000 or 0.573 or 4.8e-05."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10):
        return f"{int(value):,}"
    return f"{value:.2g}" if abs(value) < 1e-3 else f"{value:.3f}".rstrip("0").rstrip(".")


def _stack(row):
    return html.span(f"{row['ensemble']} · {row['target']} · {row['timeframe']}", "name")


def _auc(row, part):
    value, low, high = (row[f"{part}_{name}"] for name in ("auc", "auc_low", "auc_high"))
    if value is None:
        return None
    rows, effective = row[f"{part}_rows"], row[f"{part}_effective_rows"]
    return html.lines(
        html.span(f"{value:.3f} [{low:.3f}, {high:.3f}]", "name"),
        html.span(f"n {rows:,}, effective {effective:,.0f}", "quiet name"),
    )


def _rule(gate, name):
    rule = next((each for each in gate["rules"] if each["name"] == name), None)
    if rule is None:
        return None
    if rule["passed"] is None:
        return html.span(rule["why"], "quiet")
    if rule["threshold"] == 0 and rule["passed"]:
        return html.span("not limited", "quiet")
    figure, limit = outcome(rule)
    mark, style = ("✓", "met") if rule["passed"] else ("✗", "failed")
    return html.lines(html.span(f"{mark} {figure}", style), html.span(limit, "quiet"))
