"""Whether preference pairs betray their answer: a classifier of texts must not tell chosen from rejected."""

import re

import numpy as np

from scripts.common.statistics import auc
from scripts.corpus.samples import prompt_of
from scripts.corpus.skeletons import mask_decision

DECISION = re.compile(r"\b(BUY|SELL)\b")
# with fewer pairs on either side a classifier is too coarse to say anything
LEAST_PAIRS = 50
MOST_TRAINING_PAIRS = 5000


def classify(train, test, seed, masked=True):
    """The AUC, an :class:`scripts.common.statistics.auc.Estimate`, of a classifier of chosen (1) against rejected (0).

    It is a logistic regression on words and pairs of words of question and answer, fitted on ``train`` and scored on
    ``test`` (both lists of preferences, apart in time). ``masked``: numbers, names and the words of the decision are
    masked, so what is left is style; unmasked it measures how far decisions can be predicted from the state, which
    says nothing about quality. The two texts of a pair share their question: a pair counts as one row. None when there
    are fewer than ``LEAST_PAIRS`` pairs on either side.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if min(len(train), len(test)) < LEAST_PAIRS:
        return None
    train = train[:: -(-len(train) // MOST_TRAINING_PAIRS)]
    pattern = r"[^\W_]+|[?#@]" if masked else r"[^\s]+"
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=pattern, sublinear_tf=True)
    known, wanted = texts(train, masked), texts(test, masked)
    model = LogisticRegression(C=10.0, max_iter=300, random_state=seed)
    model.fit(vectors.fit_transform(known), _labels(train))
    score = model.decision_function(vectors.transform(wanted))
    # solvers differ in the last digits: equal texts are ties, not ranks
    return auc.interval(_labels(test), np.round(score, 6), effective_n=len(test))


def texts(pairs, masked):
    """Question with chosen answer, question with rejected answer, pair by pair."""
    found = []
    for pair in pairs:
        for side in ("chosen", "rejected"):
            text = f"{prompt_of(pair)}\n{pair[side][-1]['content']}"
            found.append(mask_decision(text, pair["meta"]["names"]) if masked else text)
    return found


def balance(pairs):
    """``{group: (chosen BUY, chosen SELL)}`` of pairs whose chosen answer names one of the two."""
    counts = {}
    for pair in pairs:
        decision = DECISION.search(pair["chosen"][-1]["content"])
        if decision:
            buys, sells = counts.get(pair["meta"]["group"], (0, 0))
            counts[pair["meta"]["group"]] = (buys + (decision[1] == "BUY"), sells + (decision[1] == "SELL"))
    return counts


def lengths(pairs):
    """Mean characters of chosen and of rejected answers."""
    return tuple(
        sum(len(pair[side][-1]["content"]) for pair in pairs) / len(pairs) if pairs else 0.0
        for side in ("chosen", "rejected")
    )


def _labels(pairs):
    return np.tile([1, 0], len(pairs))
