"""Small random models of many families, saved as folders that `llm=hf` loads."""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.tiny import train_tokenizer
from tests.llms.families import FAMILIES, MORE, TEXTS


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory):
    """family, sizes (instead of the family's) -> a folder with random weights (wide enough that logits differ) and a
    trained tokenizer without template.
    """
    tokenizer = train_tokenizer(TEXTS, 400, 128)
    tokenizer.chat_template = None
    folders = {}

    def folder(family, **sizes):
        key = (family, *sizes.items())
        if key not in folders:
            torch.manual_seed(0)
            config = getattr(transformers, f"{family}Config")(
                vocab_size=len(tokenizer),
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                **(FAMILIES | MORE)[family] | sizes,
            )
            model = AutoModelForCausalLM.from_config(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.ndim > 1:
                        parameter.normal_(std=0.3)
            folders[key] = tmp_path_factory.mktemp(family)
            model.save_pretrained(folders[key])
            tokenizer.save_pretrained(folders[key])
        return folders[key]

    return folder


@pytest.fixture
def load(family_folder):
    """family, settings -> the HFLanguageModel in float32."""
    return lambda family, **settings: HFLanguageModel(
        HFConfig(**{"path": str(family_folder(family)), "dtype": "float32", **settings})
    )
