"""The base of every section of a study's config, and the one readable block for what is wrong in it."""

import difflib
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

NAME = r"[A-Za-z0-9_.-]+"


class Settings(BaseModel):
    """A section: unknown keys are errors, values do not change after validation, defaults are validated too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _check_name(value):
    if not re.fullmatch(NAME, value) or not value.strip("."):
        raise ValueError("a name becomes part of a path: use letters, digits, '_', '.' and '-' only")
    return value


def _check_timeframe(value):
    match = re.fullmatch(r"([1-9]\d*)([mhd])", value)
    minutes = int(match[1]) * {"m": 1, "h": 60, "d": 1440}[match[2]] if match else 0
    if not minutes or 1440 % minutes:
        raise ValueError("a timeframe divides a day: for example 15m, 1h, 4h, 24h or 1d")
    return value


Name = Annotated[str, AfterValidator(_check_name)]
Timeframe = Annotated[str, AfterValidator(_check_timeframe)]


def explain(error, model, where="the config"):
    """One readable block for a pydantic ValidationError: key path, value, reason and the nearest valid key."""
    schema = model.model_json_schema()
    lines = []
    for each in error.errors():
        path, keys = _locate(schema, each["loc"])
        shown = ".".join(path)
        if each["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(path[-1], keys, 1, 0.5)
            hint = f"; did you mean '{nearest[0]}'?" if nearest else f"; valid keys: {', '.join(keys)}"
            lines.append(f"  {shown}: there is no such key{hint} (value: {each['input']!r})")
        elif each["type"] == "missing":
            lines.append(f"  {shown}: is required and missing")
        else:
            reason = each["msg"].removeprefix("Value error, ")
            value = "" if isinstance(each["input"], dict | BaseModel) else f" (value: {each['input']!r})"
            # a check across sections tells its own places, one a line
            lines.extend([f"  {shown}: {reason}{value}"] if shown else [f"  {line}" for line in reason.split("\n")])
    lines = list(dict.fromkeys(lines))
    count = "one mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{where} has {count}:\n" + "\n".join(lines)


def _locate(schema, location):
    """(keys as the user wrote them, keys valid beside the last one) for a pydantic error location.

    The location also holds the tags of unions ("simulate"), which are no keys of the config.
    """
    nodes, path, keys = [schema], [], []
    for part in location:
        nodes = [deeper for node in nodes for deeper in _resolved(schema, node)]
        tagged = [node["discriminator"]["mapping"].get(part) for node in nodes if "discriminator" in node]
        if any(tagged):
            nodes = [{"$ref": tag} for tag in tagged if tag]
            continue
        keys = sorted({key for node in nodes for key in node.get("properties", {})})
        path.append(str(part))
        below = [node.get("properties", {}).get(part, node.get("additionalProperties")) for node in nodes]
        nodes = [node for node in below if isinstance(node, dict)] or [n["items"] for n in nodes if "items" in n]
    return path, keys


def _resolved(schema, node):
    """``node`` with references followed and alternatives (``anyOf``) spread; unions with a tag stay whole."""
    if "$ref" in node:
        return _resolved(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    if "anyOf" in node:
        return [deeper for each in node["anyOf"] for deeper in _resolved(schema, each)]
    return [node]
