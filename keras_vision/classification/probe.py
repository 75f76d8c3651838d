"""The linear probe: how much of the classes a single layer can read off what a network makes of
photos. The network itself learns nothing more (Zhang, Isola, Efros 2016; Chen et al. 2020).
"""

import keras
import numpy as np
from keras import Input, layers


def probe(features, labels, test_features, test_labels, epochs=50):
    """The share of test pictures whose class is found, by a layer that is trained on the others.

    features: of the photos, such as `embed` makes them, (N, D) and (M, D); each of the D numbers
        is brought to mean 0 and deviation 1, as it has on the first; where it does not change
        there, it is left out.
    labels: their classes, 0, 1, 2 ... (N,) and (M,)

    Raises ValueError where these do not fit, are none, or are not finite.
    """
    features, labels = checked(features, labels, "features", "labels")
    test_features, test_labels = checked(
        test_features, test_labels, "test features", "test labels"
    )
    if features.shape[1] != test_features.shape[1]:
        raise ValueError(
            f"expected test features of {features.shape[1]} numbers, as the others, "
            f"got {test_features.shape[1]}"
        )
    mean, deviation = (of(features, 0, dtype="float64") for of in (np.mean, np.std))
    changes = deviation > 1e-6 * np.abs(features).max(0)  # by more than rounding
    deviation = np.where(changes, deviation, np.inf)
    train, test = ((x - mean) / deviation for x in (features, test_features))
    inputs = Input((features.shape[1],))
    classes = int(max(labels.max(), test_labels.max())) + 1
    model = keras.Model(inputs, layers.Dense(classes, kernel_initializer="zeros")(inputs))
    batch = 256
    steps = epochs * -(-len(train) // batch)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1e-2, steps), 1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(train, labels, batch_size=batch, epochs=epochs, verbose=0)
    found = model.predict(test, batch_size=1024, verbose=0).argmax(-1)
    return float(np.mean(found == test_labels))


def checked(features, labels, what, which):
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or not len(features) or labels.shape != features.shape[:1]:
        raise ValueError(
            f"expected {what} (N, D) and {which} (N,), one at least; "
            f"got {features.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"expected {which} 0, 1, 2 ..., got {labels.dtype} such as {labels[0]}")
    if not np.isfinite(features).all():
        raise ValueError(f"expected finite {what}, but some are NaN or infinite")
    return features, labels
