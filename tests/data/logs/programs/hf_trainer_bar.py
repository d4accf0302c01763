"""transformers' Trainer with its bar and an evaluation every epoch."""
from hf_common import trainer

trainer(num_train_epochs=3, logging_steps=4, eval_strategy="epoch").train()
