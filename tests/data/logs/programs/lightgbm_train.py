"""Gradient boosting with a validation set: `lightgbm.train` and its log callback."""
import lightgbm
import numpy

rng = numpy.random.default_rng(0)
x = rng.normal(size=(200, 4))
y = x[:, 0] + rng.normal(size=200) / 4
data = lightgbm.Dataset(x[:150], y[:150])
valid = lightgbm.Dataset(x[150:], y[150:], reference=data)
params = {"objective": "regression", "metric": ["l2", "l1"], "num_threads": 1}
lightgbm.train(params, data, 40, [valid], callbacks=[lightgbm.log_evaluation(5)])
