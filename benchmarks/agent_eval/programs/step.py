"""A step that must run once: step.py NAME SECONDS EXIT_CODE."""

import os
import pathlib
import sys
import time

name, seconds, code = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
truth = pathlib.Path(os.environ["EVAL_TRUTH"]) / name
with open(f"{truth}.runs", "a") as runs:
    runs.write("run\n")
count = round(seconds * 4)
for number in range(1, count + 1):
    print(f"{name} {number}/{count}", flush=True)
    time.sleep(0.25)
pathlib.Path(f"{truth}.code").write_text(str(code))
print(f"{name} is done", flush=True)
sys.exit(code)
