"""A bar with a description and a loss: tqdm over a known number of steps."""
import time

import tqdm

bar = tqdm.tqdm(range(200), desc="prep")
for step in bar:
    time.sleep(0.005)
    bar.set_postfix(loss=5 / (step + 1), lr=3e-4)
