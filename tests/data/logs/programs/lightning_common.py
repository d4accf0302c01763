"""A linear model for lightning."""
import lightning
import torch


class Line(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        x = batch[0]
        loss = ((self.layer(x)[:, 0] - x[:, 0]) ** 2).mean()
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def fit(*callbacks):
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(320, 4))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_model_summary=False, callbacks=list(callbacks),
    ).fit(Line(), loader)
