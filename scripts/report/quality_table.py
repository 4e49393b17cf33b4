"""The findings of a market as a table."""

from scripts.report import html_tables as html

SHOWN = 500
SEVERITIES = ("error", "warning", "info")
COLUMNS = ("symbol", "class", "severity", "count", "start", "end", "detail")


def ordered(findings):
    """Findings as rows of ``COLUMNS``, the worst first, then by symbol and time."""
    rows = [[finding[name] for name in COLUMNS] for finding in findings]
    return sorted(rows, key=lambda row: (SEVERITIES.index(row[2]), row[0], row[4] or ""))


def page(market, quality):
    """The page of a market's quality.json."""
    rows, kept = ordered(quality["findings"]), quality["rows"]
    parts = [
        html.paragraph(
            f"{kept['kept']:,} bars kept, {kept['quarantined']:,} rows kept out (in quarantine.parquet, each with its "
            "reason). Nothing is dropped silently."
        )
    ]
    if not rows:
        parts.append(html.paragraph("No check found anything."))
    else:
        parts += [html.heading("By class"), _classes(quality["classes"])]
        title = (
            "Findings" if len(rows) <= SHOWN else f"Findings: the worst {SHOWN} of {len(rows):,}; quality.csv has all"
        )
        parts += [html.heading(title), html.table(COLUMNS, [_styled(row) for row in rows[:SHOWN]], numbers=(3,))]
    zones = quality["time_zones"]
    said = f"Compared across symbols: {zones['rule']}." if zones["checked"] else f"Not compared: {zones['reason']}."
    checks = ", ".join(f"{name} {value}" for name, value in sorted(quality["checks"].items()))
    parts += [html.heading("Time zones"), html.paragraph(said)]
    parts += [html.heading("Settings of the checks"), html.paragraph(f"{checks}.")]
    return html.page(f"{market}: what was found in the bars", *parts)


def _classes(classes):
    rows = [
        [name, each["findings"], f"{each['bars']:,}", ", ".join(f"{n} {s}" for s, n in each["severities"].items())]
        for name, each in sorted(classes.items())
    ]
    return html.table(("class", "findings", "bars", "severity"), rows, numbers=(1, 2))


def _styled(row):
    symbol, name, severity, count, start, end, detail = row
    shown = html.span(severity, "bad") if severity == "error" else severity
    return [symbol, name, shown, f"{count:,}", html.moment(start), html.moment(end), detail]
