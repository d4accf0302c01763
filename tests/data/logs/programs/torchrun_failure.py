"""Two processes under torchrun, of which one fails at step 3."""
import os
import time

import torch

for step in range(5):
    print(f"step {step}/100 loss {2 / (step + 1):.3f}", flush=True)
    time.sleep(0.05)
    if step == 3 and os.environ["RANK"] == "1":
        torch.zeros(2) @ torch.zeros(3)
time.sleep(5)
