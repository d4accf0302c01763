"""PPO with `progress_bar=True`: rich's bar between the tables."""
from stable_baselines3 import PPO

model = PPO("MlpPolicy", "CartPole-v1", n_steps=128, batch_size=64, verbose=1, device="cpu", seed=0)
model.learn(640, progress_bar=True)
