"""lightning with its rich bar."""
from lightning.pytorch.callbacks import RichProgressBar
from lightning_common import fit

fit(RichProgressBar(refresh_rate=5))
