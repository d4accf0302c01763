"""tqdm over a stream of unknown length."""
import time

import tqdm

bar = tqdm.tqdm(desc="train", mininterval=0.2)
for step in range(300):
    time.sleep(0.003)
    bar.update()
    bar.set_postfix(loss=5 / (step + 1))
bar.close()
