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
    """
    mean, deviation = (of(features, 0, dtype="float64") for of in (np.mean, np.std))
    deviation = np.where(deviation > 1e-6, deviation, np.inf)
    train, test = ((x - mean) / deviation for x in (features, test_features))
    inputs = Input((features.shape[1],))
    classes = int(max(np.max(labels), np.max(test_labels))) + 1
    model = keras.Model(inputs, layers.Dense(classes, kernel_initializer="zeros")(inputs))
    batch = 256
    steps = epochs * -(-len(train) // batch)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1e-2, steps), 1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(train, np.asarray(labels), batch_size=batch, epochs=epochs, verbose=0)
    found = model.predict(test, batch_size=1024, verbose=0).argmax(-1)
    return float(np.mean(found == np.asarray(test_labels)))
