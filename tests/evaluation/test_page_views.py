"""Views of pages: the same record with another look, and nothing else changed."""

import numpy as np
import pytest

from anyecg.config.schema import InputConfig
from anyecg.data.clips.page.maker import PageConfig
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.encoders.page_vit import PageViT, PageViTConfig
from anyecg.evaluation.views import views
from anyecg.evaluation.views.pages import OfPages
from anyecg.types import InputSpec

EACH = [name for name in views.table() if issubclass(views[name], OfPages)]
SPEC = PageViT.input_spec(PageViTConfig(height=192, width=256, page=PageConfig(distorted=0.0)))


@pytest.mark.parametrize("name", EACH)
def test_a_view_changes_how_pages_look_and_nothing_else(name, small_data):
    rows = small_data.questions.select(pool="report")[:2].tolist()

    def shown(view):
        return QuestionDataset(small_data.questions, rows, small_data.stores, InputConfig(), view, spec=SPEC)

    plain, other = shown("signal"), shown(name)
    for index in range(len(rows)):
        one, two = plain[index], other[index]
        assert one.sample == two.sample and np.array_equal(one.lead_masks[0], two.lead_masks[0])
        assert one.clips[0].shape == two.clips[0].shape and not np.array_equal(one.clips[0], two.clips[0])


@pytest.mark.parametrize("name", EACH)
def test_an_encoder_of_signals_sees_no_difference(name):
    assert views[name]().drawn(InputSpec()) == InputSpec() and not views[name].strict
