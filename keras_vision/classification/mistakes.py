"""What a classifier gets wrong."""

import numpy as np
import pandas as pd
from keras import ops


def mistakes(labels, logits):
    """The misclassified of labels (N,) and logits (N, classes), those first that cost most.

    Returns a table with a row for each: `example`, its index; `label`; `predicted`; and `loss`,
    the cross-entropy in nats.
    """
    labels = np.asarray(labels)
    likelihoods = ops.convert_to_numpy(ops.log_softmax(logits))
    table = pd.DataFrame(
        {
            "example": np.arange(len(labels)),
            "label": labels,
            "predicted": likelihoods.argmax(-1),
            "loss": -np.take_along_axis(likelihoods, labels[:, None].astype(int), -1)[:, 0],
        }
    )
    wrong = table[table["label"] != table["predicted"]]
    return wrong.sort_values("loss", ascending=False, ignore_index=True)
