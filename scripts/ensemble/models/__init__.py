"""The kinds of base models: one module each, found by name, behind one small interface.

A kind is a module of this package with the name that the config uses. It has

``EXTENSION``
    of a saved model: ``"txt"``. Read at planning time, so a kind imports heavy packages inside functions only.
``prepare(x, y, names, reference_rows, settings, threads, seed) -> data``
    what all folds of a block share, made once: ``x`` float32 ``[n, f]`` and ``y`` int8 ``[n]`` in order of time (a
    sequence model cuts its windows from it), ``names`` of the features. Whatever is learned from x itself (bins,
    scales, winsor limits) is learned from ``reference_rows`` only, the block's first training window, or later, in
    ``fit``, from the fold's own.
``fit(data, train_rows, validation_rows, settings, rounds=None) -> model``
    one model. Rows are ascending positions in x. With validation rows, training stops early on their AUC, which is
    never a result; without, it runs ``rounds`` or else ``settings["rounds"]`` rounds.
``read(path, sha256) -> model``
    a saved model, checked before it is parsed; StudyError when the digest differs.
``to_onnx(model, names) -> onnx.ModelProto``
    input ``row`` float32 ``[n, f]``, output ``probability`` float32 ``[n, 1]``, ai.onnx opset 18.

and a model has

``rounds``, ``early_stopping_auc`` (None without validation rows), ``gain`` (float64 ``[f]``, importance by feature),
``predict(x, rows=None)``
    probabilities of y = 1, float64, of the given rows of ``x`` (all without ``rows``); x is in order of time, so
    that a sequence model finds the past of a row in it.
``save(path)``
    the file that ``read`` reads; equal models give equal bytes.

``settings`` is the complete mapping from the config, with every default filled in.
"""

import importlib


def load(kind):
    """The module of a kind of base model, such as ``lightgbm``."""
    return importlib.import_module(f"{__name__}.{kind}")
