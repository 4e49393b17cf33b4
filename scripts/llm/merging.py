"""Merging models of one architecture and vocabulary: slerp, linear, ties and dare, tensor by tensor.

Arithmetic is float64, a piece of a tensor at a time, so that a merge needs little more memory than the tensors of one
name. Sums are taken in one order whatever the number of threads. slerp, linear and ties are those of mergekit 0.1.5
(with ``normalize``); dare is ``dare_linear`` with the paper's rescaling by 1 / density, where mergekit restores the sum
of magnitudes.
"""

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np

from scripts.common.errors import StudyError

# nearly parallel tensors have no arc to speak of: they are interpolated on the chord
PARALLEL = 0.9995
# a tensor shorter than this has no direction: it counts as orthogonal to every other
SHORT = 1e-8
# values that are in float64 at once
PIECE = 2**16
# what two models must share in config.json where both state it
SHARED = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "tie_word_embeddings",
)
# what may differ, and what the merged model takes from the first: it is recorded
NOTED = ("rope_theta", "rope_scaling", "rope_parameters", "rms_norm_eps", "max_position_embeddings", "sliding_window")
LAYER = re.compile(r"\blayers\.(\d+)\.")


def check(models):
    """What the models (``{name: Weights}``) differ in that a merge can bear: ``{key of config.json: {model: value}}``.

    Raises StudyError that names everything which keeps them from being merged: architecture, vocabulary, tensors.
    """
    names, mistakes = list(models), []
    first = models[names[0]]
    words = {name: vocabulary(model.folder) for name, model in models.items()}
    for name in names[1:]:
        pair = (names[0], name)
        mistakes += _config_mistakes(pair, first.config, models[name].config)
        mistakes += _vocabulary_mistakes(pair, words[names[0]], words[name])
        mistakes += _tensor_mistakes(pair, first, models[name])
    mistakes += [
        f"{tensor} of {name} holds {model.dtype(tensor)}, which is no number format of unquantised weights"
        for name, model in models.items()
        for tensor in model.names
        if model.dtype(tensor) not in ("F64", "F32", "F16", "BF16")
    ]
    if mistakes:
        raise StudyError(f"these models cannot be merged: {'; '.join(mistakes)}")
    values = {key: {name: models[name].config.get(key) for name in names} for key in NOTED}
    return {key: found for key, found in values.items() if any(each != found[names[0]] for each in found.values())}


def vocabulary(folder):
    """``{token: id}`` of a model folder's tokenizer.json, added tokens included."""
    path = Path(folder) / "tokenizer.json"
    if not path.exists():
        raise StudyError(f"{folder} has no tokenizer.json: its vocabulary cannot be compared")
    content = json.loads(path.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    if isinstance(words, list):  # Unigram: pairs of token and score, in the order of the ids
        words = {token: number for number, (token, _) in enumerate(words)}
    return words | {each["content"]: each["id"] for each in content.get("added_tokens", ())}


def _config_mistakes(names, one, two):
    for key in SHARED:
        if key in one and key in two and one[key] != two[key]:
            yield f"{key} is {one[key]} in {names[0]} and {two[key]} in {names[1]}"
    heads = [each.get("num_key_value_heads", each.get("num_attention_heads")) for each in (one, two)]
    if heads[0] != heads[1]:
        yield f"num_key_value_heads is {heads[0]} in {names[0]} and {heads[1]} in {names[1]}"


def _vocabulary_mistakes(names, one, two):
    other = sorted(token for token in {*one, *two} if one.get(token) != two.get(token))
    if other:
        shown = ", ".join(f"{token!r} is {one.get(token)} and {two.get(token)}" for token in other[:3])
        yield f"{names[0]} and {names[1]} have different vocabularies: {len(other)} tokens differ ({shown})"


def _tensor_mistakes(names, one, two):
    """One line for each kind of tensor that differs, with its layers."""
    mine, theirs, found = set(one.names), set(two.names), {}
    for tensor in sorted(mine | theirs, key=lambda each: [int(n) for n in LAYER.findall(each)]):
        if tensor not in mine or tensor not in theirs:
            line = f"is only in {names[0] if tensor in mine else names[1]}"
        elif one.shape(tensor) != two.shape(tensor):
            line = f"is {list(one.shape(tensor))} in {names[0]} and {list(two.shape(tensor))} in {names[1]}"
        else:
            continue
        found.setdefault((LAYER.sub("layers.*.", tensor), line), []).extend(LAYER.findall(tensor))
    for (kind, line), layers in sorted(found.items()):
        yield f"{kind} {line}" + (f" (layers {', '.join(layers)})" if layers else "")


def at_layer(t, tensor, layers):
    """The value of ``t`` (a number, or a list that runs over the layers) for a tensor of a model with ``layers``.

    As in mergekit: the values of a list stand at equal distances from the first layer to the last one, between them it
    is interpolated; what belongs to no layer (embeddings, last norm, head) takes its first value.
    """
    if not isinstance(t, list):
        return float(t)
    found = LAYER.search(tensor)
    depth = 0.0 if not found else int(found[1]) / (layers - 1) if layers > 1 else 1.0
    place = depth * (len(t) - 1)
    below = int(place)
    above, part = min(len(t) - 1, below + 1), place - below
    return (1 - part) * t[below] + part * t[above]


def slerp(one, two, t, dtype):
    """Spherical interpolation (Shoemake 1985) of two tensors taken as vectors, ``t`` of the way; as ``dtype``."""
    norms = [math.sqrt(_dot(each, each)) for each in (one, two)]
    norms = [each if each > SHORT else 1.0 for each in norms]
    cosine = max(-1.0, min(1.0, _dot(one, two) / norms[0] / norms[1]))
    if abs(cosine) > PARALLEL:
        shares = (1 - t, t)
    else:
        angle = math.acos(cosine)
        shares = (math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle))
    return _by_piece([one, two], dtype, lambda both: shares[0] * both[0] + shares[1] * both[1])


def linear(tensors, weights, dtype):
    """The mean of tensors with the given weights, as ``dtype``."""
    shares = [each / sum(weights) for each in weights]
    return _by_piece(tensors, dtype, lambda each: _weighted(each, shares))


def ties(tensors, weights, onto, density, dtype):
    """TIES (Yadav et al. 2023), as ``dtype``: of each difference from ``onto`` the largest values stay, as many as
    ``density`` says; the sign is elected by weight; the mean is that of the values of this sign.
    """
    import torch

    trims = [_Trim(each, onto, density) for each in tensors]

    def merge(pieces):
        *own, base = pieces
        deltas = torch.stack([w * trim(each, base) for w, each, trim in zip(weights, own, trims, strict=True)])
        elected = torch.where(deltas.sum(dim=0) >= 0, 1.0, -1.0)
        agrees = (deltas.sign() == elected).double()
        divisor = (torch.tensor(weights, dtype=torch.float64)[:, None] * agrees).sum(dim=0)
        return base + (deltas * agrees).sum(dim=0) / torch.where(divisor == 0, 1.0, divisor)

    return _by_piece([*tensors, onto], dtype, merge)


def dare(tensors, weights, onto, density, seeds, dtype):
    """DARE (Yu et al. 2023), as ``dtype``: of each difference from ``onto`` a random share ``density`` stays,
    divided by ``density``; they are added with their weights.

    ``seeds``: one a tensor; what one of them draws depends on no other.
    """
    import torch

    draws = [torch.Generator().manual_seed(seed) for seed in seeds]

    def merge(pieces):
        *own, base = pieces
        merged = base.clone()
        for weight, each, draw in zip(weights, own, draws, strict=True):
            kept = torch.rand(len(each), generator=draw, dtype=torch.float64) < density
            merged += weight / density * kept * (each - base)
        return merged

    return _by_piece([*tensors, onto], dtype, merge)


def seed_of(seed, model, tensor):
    """The seed of one tensor of one model: that of the study, with their names."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{model}|{tensor}".encode()).digest()[:7])


class _Trim:
    """Sets all but the largest values of a difference to 0, called piece by piece in their order.

    Of values that are equal to the smallest that stays, the first ones stay. Sizes are compared in float32, as mergekit
    does.
    """

    def __init__(self, tensor, onto, density):
        flat, base = tensor.reshape(-1), onto.reshape(-1)
        sizes = np.empty(flat.numel(), dtype=np.float32)
        for place in _places(flat):
            sizes[place] = (flat[place].float() - base[place].float()).abs().numpy()
        kept = max(1, int(density * sizes.size))
        sizes.partition(sizes.size - kept)
        self.least = float(sizes[-kept])
        self.equal = kept - int((sizes[-kept:] > self.least).sum())

    def __call__(self, piece, base):
        """The trimmed difference of the next piece, float64."""
        sizes = (piece.float() - base.float()).abs()
        equal = sizes == self.least
        stays = (sizes > self.least) | (equal & (equal.cumsum(dim=0) <= self.equal))
        self.equal = max(0, self.equal - int(equal.sum()))
        return (piece - base) * stays


def _weighted(tensors, shares):
    return sum(share * each for share, each in zip(shares, tensors, strict=True))


def _places(flat):
    return [slice(start, start + PIECE) for start in range(0, flat.numel(), PIECE)]


def _by_piece(tensors, dtype, merge):
    """``merge`` (a list of float64 vectors to one) over equal pieces of the tensors, in order; shaped as the first."""
    import torch

    flat = [each.reshape(-1) for each in tensors]
    merged = torch.empty(flat[0].numel(), dtype=dtype)
    for place in _places(merged):
        merged[place] = merge([each[place].double() for each in flat])
    return merged.reshape(tensors[0].shape)


def _dot(one, two):
    """The inner product of two tensors in float64. NumPy sums on one thread: torch's order depends on their number."""
    flat = one.reshape(-1), two.reshape(-1)
    return math.fsum(
        float((flat[0][place].double() * flat[1][place].double()).numpy().sum()) for place in _places(flat[0])
    )
