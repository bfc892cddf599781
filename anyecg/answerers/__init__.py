"""Whatever answers questions, by name: the experiment's language model, and what it is to be compared with."""

from anyecg.registry import Registry

answerers = Registry("answerer", {
    "endpoint": "anyecg.answerers.endpoint:EndpointAnswerer",
    "language_model": "anyecg.answerers.language_model:LanguageModel",
    "prior": "anyecg.answerers.prior:Prior",
    "probe": "anyecg.answerers.probe:Probe",
    "regression": "anyecg.answerers.regression:Regression",
    "question_classifier": "anyecg.answerers.question_classifier:QuestionClassifier",
    "ranker": "anyecg.answerers.ranker:Ranker",
    "segmenter": "anyecg.answerers.segmenter:Segmenter",
})  # fmt: skip
