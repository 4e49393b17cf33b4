"""The out-of-fold matrix: one row per bar that every base model has predicted without having seen it."""

import functools

import pandas as pd

from scripts.common.errors import StudyError


def check_block(index, block, *, model, path):
    """Raise StudyError unless a block's predictions are the ones that its index tells of.

    ``index``: the block's index.json; ``block``: its frame timestamp, fold, p; ``model``: the name it should have;
    ``path``: where the frame was read, for the message.
    """
    expected = {fold["fold"]: fold["rows"]["test"] for fold in index["folds"] if fold["rows"]["test"]}
    found = {int(fold): int(count) for fold, count in block["fold"].value_counts().items()}
    reason = None
    if index["model"] != model:
        reason = f"its index belongs to model '{index['model']}', not '{model}'"
    elif found != expected:
        wrong = sorted(fold for fold in expected.keys() | found.keys() if expected.get(fold) != found.get(fold))[0]
        reason = f"fold {wrong} has {found.get(wrong, 0)} rows, its index says {expected.get(wrong, 0)}"
    elif not block["p"].between(0, 1).all():
        reason = f"{int((~block['p'].between(0, 1)).sum())} predictions are no probabilities"
    if reason:
        raise StudyError(f"{path}: {reason}; the file was altered or cut short: delete it and rerun")


def join(predictions, labels):
    """The matrix ``timestamp fold y t1 forward_return p_<model>...``, ascending, rows that all models predicted.

    ``predictions``: ``{model: frame of timestamp, fold, p}``, ``labels``: frame of timestamp, t1, y, forward_return.
    Raises StudyError when a model predicts a bar twice, models disagree on a bar's fold, or a bar has no label.
    """
    frames = []
    for model, frame in predictions.items():
        twice = frame["timestamp"].duplicated()
        if twice.any():
            raise StudyError(f"model '{model}' predicts {frame['timestamp'][twice].iloc[0]} in more than one fold")
        frames.append(frame.rename(columns={"p": f"p_{model}", "fold": f"fold_{model}"}))
    joined = functools.reduce(lambda left, right: left.merge(right, on="timestamp", validate="1:1"), frames)
    columns = [f"fold_{model}" for model in predictions]
    differ = joined[columns].nunique(axis=1) > 1
    if differ.any():
        raise StudyError(
            f"the models put {joined['timestamp'][differ].iloc[0]} into different folds: rerun train_folds"
        )
    joined = joined.rename(columns={columns[0]: "fold"}).drop(columns=columns[1:])
    table = joined.merge(labels, on="timestamp", validate="1:1").sort_values("timestamp", ignore_index=True)
    if len(table) < len(joined):
        raise StudyError(f"{len(joined) - len(table)} predicted bars have no label: rerun label_bars and train_folds")
    table["fold"] = table["fold"].astype("int32")
    leading = ["timestamp", "fold", "y", "t1", "forward_return"]
    return table[leading + [f"p_{model}" for model in predictions]]


def with_column(table, name, timestamp, values):
    """``table`` with the column ``name``: ``values`` at the naive UTC stamps ``timestamp``.

    Raises StudyError when a row of the table has no value there; NaN counts as one.
    """
    column = pd.Series(values, index=pd.DatetimeIndex(timestamp, tz="UTC"))
    missing = ~table["timestamp"].isin(column.index)
    if missing.any():
        raise StudyError(f"feature {name} has no row for {missing.sum()} out-of-fold bars: rerun its features")
    return table.assign(**{name: column.reindex(table["timestamp"]).to_numpy()})
