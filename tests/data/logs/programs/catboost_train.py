"""Gradient boosting with a validation set: `CatBoostRegressor.fit`."""
import catboost
import numpy

rng = numpy.random.default_rng(0)
x = rng.normal(size=(200, 4))
y = x[:, 0] + rng.normal(size=200) / 4
model = catboost.CatBoostRegressor(iterations=40, thread_count=1, allow_writing_files=False)
model.fit(x[:150], y[:150], eval_set=(x[150:], y[150:]), verbose=5)
