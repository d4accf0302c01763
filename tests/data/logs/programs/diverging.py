"""A training of ours whose loss explodes: gradient descent with too large a step."""
weight = 30.0
for step in range(40):
    print(f"step {step}/100 loss {weight * weight:.4f} lr 1.1", flush=True)
    weight -= 1.1 * 2 * weight * 1.7
