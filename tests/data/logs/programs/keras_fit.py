"""`Model.fit` on a tiny network; stopped in its third epoch of four."""
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy


class Stop(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 24):
            sys.exit(1)


rng = numpy.random.default_rng(0)
x = rng.normal(size=(320, 4)).astype("float32")
y = (x[:, 0] > 0).astype("float32")
model = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
model.compile(loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=4, batch_size=8, validation_split=0.2, callbacks=[Stop()])
