"""Steps through logging and rich's handler, which puts file and line at the end."""
import logging

import rich.console
import rich.logging

console = rich.console.Console(width=120)
handler = rich.logging.RichHandler(console=console)
logging.basicConfig(level="INFO", format="%(message)s", handlers=[handler])
for step in range(1, 6):
    logging.info("step %d/40 loss %.4f acc %.2f", step, 3 / step, step / 40)
