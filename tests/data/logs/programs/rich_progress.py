"""rich's own progress bar, where the output is no terminal."""
import time

import rich.progress

for _ in rich.progress.track(range(50), description="training", update_period=0.1):
    time.sleep(0.01)
