"""`MLPClassifier` with verbose=True."""
import numpy
from sklearn.neural_network import MLPClassifier

rng = numpy.random.default_rng(0)
x = rng.normal(size=(300, 4))
MLPClassifier((8,), max_iter=12, verbose=True, random_state=0).fit(x, x[:, 0] > 0)
