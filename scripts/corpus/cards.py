"""Cards of a corpus: Croissant for machines (MLCommons, Croissant format 1.0), a README for people."""

from scripts.corpus.questions import DIFFICULTIES
from scripts.corpus.samples import FORMATS, SPLITS

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
# columns that are lists of turns, and what of a sample's metadata is described
ABOUT = ("id", "part", "domain", "difficulty", "language")
COLUMNS = {
    "messages": ("messages",),
    "preferences": ("prompt", "chosen", "rejected"),
    "prompts": ("prompt",),
    "benchmark": ("prompt",),
    "phases": ("messages",),
}
MEANING = {
    "messages": "question and answer, for supervised fine-tuning",
    "preferences": "question, chosen and rejected answer, for preference optimisation",
    "prompts": "question and verifiable answer, for reinforcement learning with rule-based rewards",
    "benchmark": "question, exact answer, expected and prohibited words; never in training",
    "phases": "samples in the order of training",
}


def croissant(name, description, license, files, version):
    """A Croissant description (a dict for JSON) of ``files``: ``{path: {"sha256", "size"}}``, relative to the card."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": license,
        "version": "1.0.0",
        "citeAs": f"corpus {name}, made by quantmake, config {version}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "contentSize": f"{about['size']} B",
                "encodingFormat": "application/jsonlines",
                "sha256": about["sha256"],
            }
            for path, about in files.items()
        ],
        # a file without a row has no columns to describe
        "recordSet": [_records(path) for path, about in files.items() if about["size"] and _kind(path) in COLUMNS],
    }


def _records(path):
    name = path.removesuffix(".jsonl").replace("/", "_")
    turns = [_field(path, name, column, column, "content") | {"repeated": True} for column in COLUMNS[_kind(path)]]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": MEANING[_kind(path)],
        "field": turns + [_field(path, name, each, "meta", each) for each in ABOUT],
    }


def _field(path, records, name, column, inside):
    """A text field: what ``inside`` names in a column of objects."""
    source = {"fileObject": {"@id": path}, "extract": {"column": column}, "transform": {"jsonPath": inside}}
    return {"@type": "cr:Field", "@id": f"{records}/{name}", "name": name, "dataType": "sc:Text", "source": source}


def _kind(path):
    return path.split("/")[0].removesuffix(".jsonl")


def page(name, accounts, sizes, phases, checks, settings, source, missing):
    """The README of a corpus as Markdown.

    ``accounts``: those of the parts; ``sizes``: ``{path: samples}``; ``phases``: accounts of the curriculum;
    ``missing``: symbols that the source system had and the market has not.
    """
    lines = [f"# Corpus {name}", "", f"**{checks['verdict'].capitalize()}**: {checks['reason']}.", ""]
    total = sum(each["samples"] for each in accounts)
    lines += [f"{total:,} samples in {len(accounts)} parts. Licence: {settings['license']}.", ""]
    if settings["market"]:
        lines += [f"Market rows come from market `{settings['market']}` (source: {source}).", ""]
    if missing:
        lines += [
            f"{len(missing)} of the {len(settings['expected_symbols'])} symbols of the source system are not in the "
            f"market and have no samples: {', '.join(missing)}.",
            "",
        ]
    lines += [
        "## Parts",
        "",
        "| part | kind | samples | skeletons | kept apart | difficulty |",
        "|---|---|---|---|---|---|",
    ]
    for each in accounts:
        figures = checks["figures"]["parts"][each["part"]]
        known = [difficulty for difficulty in DIFFICULTIES if difficulty in each["difficulty"]]
        mix = ", ".join(f"{each['difficulty'][difficulty]:,} {difficulty}" for difficulty in known)
        apart = ", ".join(f"{number:,} {reason}" for reason, number in figures["defects"].items()) or "none"
        skeletons = figures["skeletons"]["skeletons"]
        lines.append(f"| {each['part']} | {each['kind']} | {each['samples']:,} | {skeletons:,} | {apart} | {mix} |")
    lines += ["", "A skeleton is a sample's text with names and numbers masked.", ""]
    lines += [text for sentence in planted(settings) for text in (sentence, "")]
    lines += ["## Files", ""]
    lines += ["| file | samples | what |", "|---|---|---|"]
    lines += [f"| {path} | {number:,} | {MEANING.get(_kind(path), '')} |" for path, number in sizes.items()]
    lines += _curriculum(phases)
    lines += ["", "## Checks", "", "| rule | scope | holds | value | limit | samples |", "|---|---|---|---|---|---|"]
    for each in checks["rules"]:
        holds = {True: "yes", False: "**no**", None: "not applied"}[each["passed"]]
        value = each["detail"] if each["passed"] is None else each["value"]
        lines.append(
            f"| {each['name']} | {each['scope']} | {holds} | {value} | {each['limit']} | {each['samples']:,} |"
        )
    return "\n".join([*lines, "", *_preferences(checks), ""]).rstrip() + "\n"


def planted(settings):
    """A sentence on each part whose text has a planted signal: nobody shall take it for one of the market."""
    for name, part in settings["parts"].items():
        if note := part.get("note"):
            share = f"{100 * note['agreement']:g} %"
            nothing = (
                " Half is chance: the part is a control, its notes say nothing." if note["agreement"] == 0.5 else ""
            )
            yield (
                f"Part {name} has a planted text signal, which is no property of the market: a note in each question "
                f"names a direction that was made from the outcome. Notes agree with the chosen side in {share} of the "
                f"pairs.{nothing}"
            )


def _curriculum(phases):
    if not phases:
        return []
    lines = ["", "## Curriculum", "", "| phase | difficulty | wanted | there | taken |", "|---|---|---|---|---|"]
    for each in phases:
        for difficulty in DIFFICULTIES:
            bucket = each["buckets"][difficulty]
            figures = " | ".join(f"{bucket[key]:,}" for key in ("wanted", "available", "taken"))
            lines.append(f"| {each['phase']} | {difficulty} | {figures} |")
    moved = [
        f"Phase {each['phase']}: {move['samples']:,} {move['to']} samples in place of {move['from']} ones."
        for each in phases
        for move in each["reallocated"]
    ]
    return [*lines, *([""] if moved else []), *moved]


def _preferences(checks):
    figures = checks["figures"].get("preferences")
    if not figures or not figures["predictability"]:
        return []
    plain = figures["predictability"]
    return [
        "Predictability: a classifier that reads the whole text tells chosen from rejected answers of later pairs with "
        f"an AUC of {plain['auc']:.3f} [{plain['low']:.3f}, {plain['high']:.3f}] ({plain['pairs']:,} pairs). It says "
        "how far outcomes follow from the state, not how good the corpus is.",
    ]


def order(path):
    """Where a file stands in the tables: by format, then by split."""
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".jsonl")
    places = [*FORMATS, "phases", ""]
    return (places.index(folder), [*SPLITS, "quarantine"].index(stem) if stem in (*SPLITS, "quarantine") else 0)
