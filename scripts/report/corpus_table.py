"""Corpora on one page: verdict and parts of each, what their checks found, and what the formula catalogue holds."""

from scripts.report import html_tables as html
from scripts.report.gate_table import STYLES

PART_HEAD = ("part", "kind", "samples", "skeletons", "largest share", "kept apart")
RULE_HEAD = ("rule", "of", "holds", "value", "limit", "samples", "detail")
PHASE_HEAD = ("phase", "samples", "order", "easy", "medium", "hard", "extreme", "reallocated")
FAMILY_HEAD = ("family", "formulas", "compute", "by function", "need more than bars", "folklore")


def page(corpora, catalogue):
    """The page as text. ``corpora``: :func:`section` arguments by name; ``catalogue``: the content of formulas.json."""
    return html.page(
        "Corpora",
        *[part for name, each in corpora.items() for part in section(name, **each)],
        *(_catalogue(catalogue) if catalogue else ()),
    )


def section(name, checks, accounts, phases):
    """The parts of the page about one corpus, from its checks, the accounts of its parts and of its phases."""
    verdict = html.span(checks["verdict"], STYLES[checks["verdict"]])
    parts = [_part(each, checks["figures"]["parts"][each["part"]]) for each in accounts]
    found = [
        html.heading(f"Corpus {name}"),
        html.paragraph(html.Html(f"{verdict} {html.text(checks['reason'])}.")),
        html.table(PART_HEAD, parts, numbers=(2, 3, 4)),
    ]
    preferences = checks["figures"].get("preferences")
    if preferences and preferences["predictability"]:
        found.append(html.paragraph(_predictability(preferences)))
    if phases:
        found.append(html.table(PHASE_HEAD, [_phase(each) for each in phases], numbers=(1,)))
    shown = [each for each in checks["rules"] if each["passed"] is not True]
    if shown:
        found.append(html.table(RULE_HEAD, [_rule(each) for each in shown], numbers=(3, 4, 5)))
    return found


def records(corpora):
    """One dict per rule of every corpus, for csv."""
    return [{"corpus": name, **rule} for name, each in corpora.items() for rule in each["checks"]["rules"]]


def _part(account, figures):
    skeletons = figures["skeletons"]
    apart = html.lines(*(f"{number:,} {reason}" for reason, number in figures["defects"].items())) or None
    share = f"{100 * skeletons['largest_share']:.2f} %"
    return [account["part"], account["kind"], f"{account['samples']:,}", f"{skeletons['skeletons']:,}", share, apart]


def _phase(account):
    # JSON files have their keys in alphabetical order
    found = [account["buckets"][difficulty] for difficulty in PHASE_HEAD[3:7]]
    buckets = [
        f"{each['taken']:,} of {each['wanted']:,}" if each["taken"] != each["wanted"] else f"{each['taken']:,}"
        for each in found
    ]
    moved = html.lines(*(f"{each['samples']:,} {each['to']} for {each['from']}" for each in account["reallocated"]))
    return [account["phase"], f"{account['samples']:,}", account["order"], *buckets, moved or None]


def _rule(rule):
    holds = html.span("no", "failed") if rule["passed"] is False else html.span("not applied", "skip")
    return [
        rule["name"],
        rule["scope"],
        holds,
        rule["value"],
        rule["limit"],
        f"{rule['samples']:,}",
        rule["detail"][:300],
    ]


def _predictability(figures):
    masked, plain = figures["masked_auc"], figures["predictability"]
    return (
        f"Preference pairs: with names, numbers and decisions masked, a classifier of texts tells chosen from rejected "
        f"answers with an AUC of {_auc(masked)}; unmasked, {_auc(plain)} on {plain['pairs']:,} later pairs. The latter "
        "is how far outcomes can be predicted from the state, not the quality of the corpus."
    )


def _auc(figure):
    return f"{figure['auc']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _catalogue(catalogue):
    rows = []
    for each in catalogue["families"]:
        needs = html.lines(*(f"{need}: {len(names)}" for need, names in each["needs"].items()))
        rows.append(
            [each["title"], each["entries"], each["computed"], each["functions"], needs or None, each["folklore"]]
        )
    total = ("all", *(sum(each[key] for each in catalogue["families"]) for key in ("entries", "computed", "functions")))
    folklore = sum(each["folklore"] for each in catalogue["families"])
    rows.append([*total, None, folklore])
    return (
        html.heading("Formula catalogue"),
        html.paragraph(
            "Formulas with an expression are evaluated from bars; some have a function instead; some need inputs that "
            "bars do not have, and are computed only where a market has them. Folklore: no source that we are sure of."
        ),
        html.table(FAMILY_HEAD, rows, numbers=(1, 2, 3, 5), total=True),
    )
