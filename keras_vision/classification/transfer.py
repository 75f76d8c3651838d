"""Transfer learning: what a network has learned of one task is where it begins another.

backbone = mobilenet.backbone(weights="imagenet")
model = transfer.classifier(backbone, classes=5)
transfer.freeze(backbone)              # 1. only the new layer learns, in a few epochs
model.compile("adam", loss); model.fit(batches)
transfer.freeze(backbone, until="c4")  # 2. and then the last stage, at a tenth of the rate
model.compile(keras.optimizers.Adam(1e-4), loss); model.fit(batches)
"""

from keras import Model, layers


def classifier(backbone, classes, dropout=0.2):
    """A model of photos -> logits (B, classes): a new layer on the mean of the maps "c5"."""
    x = layers.GlobalAveragePooling2D(name="pooled")(backbone.output["c5"])
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(classes, dtype="float32", name="classes")(x)
    return Model(backbone.input, x, name=f"{backbone.name}_classifier")


def freeze(backbone, until="c5"):
    """Lets only what comes after the maps `until` learn, or all of it where that is None.

    BatchNorm that is frozen also keeps its statistics, and normalises by them. Compile the model
    afterwards: Keras looks at what may learn when it does that.
    """
    for layer in backbone.layers:  # Keras passes over a model that says it is trainable already
        layer.trainable = True
    if until is not None:
        Model(backbone.input, backbone.output[until]).trainable = False
