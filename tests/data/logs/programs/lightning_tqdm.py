"""lightning with its tqdm bar."""
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning_common import fit

fit(TQDMProgressBar(refresh_rate=5))
