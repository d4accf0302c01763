"""One tqdm for the epochs and one in each epoch, stopped in the second epoch."""
import sys
import time

import tqdm

for epoch in range(1, 6):
    bar = tqdm.tqdm(range(40), desc=f"Epoch {epoch}/5")
    for batch in bar:
        time.sleep(0.005)
        bar.set_postfix(loss=2 / (epoch * 40 + batch))
        if (epoch, batch) == (2, 29):
            time.sleep(0.2)
            bar.refresh()
            sys.exit(1)
