"""Gradient boosting with a validation set: `xgboost.train`."""
import numpy
import xgboost

rng = numpy.random.default_rng(0)
x = rng.normal(size=(200, 4))
y = x[:, 0] + rng.normal(size=200) / 4
train, valid = xgboost.DMatrix(x[:150], y[:150]), xgboost.DMatrix(x[150:], y[150:])
xgboost.train({"eta": 0.1}, train, 40, [(train, "train"), (valid, "eval")], verbose_eval=5)
