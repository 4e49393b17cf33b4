"""Which features the folds of a model used."""

import numpy as np
import pandas as pd


def gain_shares(model, indexes):
    """Mean and standard deviation over folds of each feature's share of the gain of all splits.

    ``indexes``: the model's index.json contents, block by block. Returns a frame ``model feature gain_share_mean
    gain_share_sd folds``, greatest share first; a fold without any split has shares of 0.
    """
    features = indexes[0]["features"]
    gain = np.array([fold["gain"] for index in indexes for fold in index["folds"]])
    total = gain.sum(axis=1, keepdims=True)
    share = np.divide(gain, total, out=np.zeros_like(gain), where=total > 0)
    table = pd.DataFrame(
        {
            "model": model,
            "feature": features,
            "gain_share_mean": share.mean(axis=0),
            "gain_share_sd": share.std(axis=0, ddof=1) if len(share) > 1 else np.zeros(len(features)),
            "folds": len(share),
        }
    )
    return table.sort_values(["gain_share_mean", "feature"], ascending=[False, True], ignore_index=True)
