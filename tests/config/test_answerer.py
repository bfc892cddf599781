"""Which stages run for an answerer: those that train what it answers with, and what these were trained with."""

import pytest

from anyecg import config
from anyecg.answerers.base import Answerer


class Probe(Answerer):
    """Answers with the encoder alone."""

    uses = frozenset(["encoder"])

    def answer(self, samples, view, answered=frozenset()):
        return iter(())


RECIPE = ["language", "contrastive", "stage1", "stage2", "stage3"]


@pytest.mark.parametrize(("overrides", "stages"), [
    ([], RECIPE),
    (["answerer=prior"], []),
    ([f"answerer={__name__}:Probe"], RECIPE[:4]),  # stage 3 leaves the encoder as it is
    ([f"answerer={__name__}:Probe", "curriculum=[contrastive]"], ["contrastive"]),  # which needs no language
    ([f"answerer={__name__}:Probe", "curriculum=[]"], []),
])  # fmt: skip
def test_only_what_the_answerer_needs_is_trained(overrides, stages):
    assert config.load("experiments/anyecg_chat.yaml", overrides).trained() == stages
