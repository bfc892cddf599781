"""Views: what a question is asked with in place of its own ECG, or beside it; one class a view."""

from anyecg.registry import Registry

views = Registry("view", {  # in the order of tables
    "signal": "anyecg.evaluation.views.signal:Signal",
    "text": "anyecg.evaluation.views.evidence:Evidence",
    "blind": "anyecg.evaluation.views.blind:Blind",
    "text_only": "anyecg.evaluation.views.text_only:TextOnly",
    "noise": "anyecg.evaluation.views.noise:Noise",
    "flat_line": "anyecg.evaluation.views.flat_line:FlatLine",
    "shuffled": "anyecg.evaluation.views.shuffled:Shuffled",
    "first_lead_masked": "anyecg.evaluation.views.masked:FirstLead",
    "second_lead_masked": "anyecg.evaluation.views.masked:SecondLead",
    "random_lead_masked": "anyecg.evaluation.views.masked:RandomLead",
    "limb_leads_masked": "anyecg.evaluation.views.masked:LimbLeads",
    "chest_leads_masked": "anyecg.evaluation.views.masked:ChestLeads",
    "named_leads_masked": "anyecg.evaluation.views.named_leads:NamedLeads",
    "other_leads_masked": "anyecg.evaluation.views.named_leads:OtherLeads",
    "paraphrase": "anyecg.evaluation.views.paraphrase:Paraphrase",
    "time_shift": "anyecg.evaluation.views.time_shift:TimeShift",
    "page_header": "anyecg.evaluation.views.pages:Header",
    "page_distorted": "anyecg.evaluation.views.pages:Distorted",
    "page_100_dpi": "anyecg.evaluation.views.pages:Fine",
    "page_61_dpi": "anyecg.evaluation.views.pages:Fair",
    "page_30_dpi": "anyecg.evaluation.views.pages:Coarse",
    "page_6x2": "anyecg.evaluation.views.pages:SixByTwo",
})  # fmt: skip
