"""A real loss that is not a number any more: torch, a learning rate far too high."""
import torch

torch.manual_seed(0)
x = torch.randn(64, 3)
layer = torch.nn.Linear(3, 1)
optimiser = torch.optim.SGD(layer.parameters(), 1e9)
for epoch in range(1, 8):
    loss = ((layer(x)[:, 0] - x[:, 0]) ** 2).mean()
    print(f"Epoch: {epoch}/20 | Train Loss: {loss.item():.4f} | lr: 1e+09", flush=True)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
