"""A tiny GPT-2 made from a configuration, and random text for it."""
import torch
import transformers


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        ids = torch.randint(0, 50, (16,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "labels": ids}


def trainer(**arguments):
    transformers.set_seed(0)
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    return transformers.Trainer(
        transformers.GPT2LMHeadModel(config),
        transformers.TrainingArguments(
            "out", use_cpu=True, per_device_train_batch_size=8, report_to=[], save_strategy="no", **arguments
        ),
        train_dataset=Data(),
        eval_dataset=Data(),
    )
