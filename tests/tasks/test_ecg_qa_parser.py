"""ECG-QA's parser: one of yes, no and not sure, or a set of answers of the vocabulary and nothing besides; and in
time.
"""

import pytest

from anyecg.tasks.ecg_qa.parser import VERIFY, read_answers, read_verdict
from tests.linear import assert_linear

VOCABULARY = frozenset((
    "none", "sinus rhythm", "sinus arrhythmia", "sinus bradycardia", "atrial fibrillation", "atrial flutter", "conduction disturbance", "hypertrophy", "myocardial infarction",
    "myocardial infarction in inferior leads", "ischemic in lateral leads", "qt interval", "above the normal range", "within the normal range",
    *(f"lead {name}" for name in ("i", "ii", "iii", "avr", "avl", "avf", *(f"v{k}" for k in range(1, 7)))),
))  # fmt: skip
ASKED = "<ecg>\nDoes this ECG show symptoms of atrial fibrillation? Please answer briefly."
OFFERED = "<ecg>\nWhich of these does this ECG show, atrial fibrillation or atrial flutter? Please answer briefly."
S, A, F = "sinus rhythm", "atrial fibrillation", "atrial flutter"


@pytest.mark.parametrize(("text", "label"), [
    ("Yes.","yes"),("No, it shows sinus rhythm.","no"),("No, this ECG does not show symptoms of atrial fibrillation.","no"),("Yes, this ECG shows atrial fibrillation.","yes"),
    ("Yes, there is no atrial fibrillation.",None),("No, the ECG shows atrial fibrillation.",None),("No. There is atrial fibrillation.",None),
    ("The ECG shows sinus rhythm.",None),("There is no evidence of atrial fibrillation in this ECG.","no"),("There isn't any atrial fibrillation","no"),("The ECG doesn't show atrial fibrillation.","no"),
    ("Atrial fibrillation is present.","yes"),("It doesn't.","no"),("It does.","yes"),("I believe the answer is yes.","yes"),("I don't think so.","no"),("I'd say no.","no"),
    ("No doubt, yes.",None),("Yes, no doubt.","yes"),("Yes, without a doubt","yes"),("Definitely yes","yes"),("Certainly not","no"),("Absolutely","yes"),("yes (atrial fibrillation)","yes"),
    ("Yes. No P waves are visible.","yes"),("No P waves are visible, so yes.",None),("If the rhythm is irregular, yes.",None),("I cannot say yes or no.",None),("I can't say yes.",None),("neither yes nor no",None),
    ("{\"answer\": \"yes\"}","yes"),("{\"answer\": true}","yes"),("{\"answer\": \"no\", \"reason\": \"P waves\"}","no"),("['no']","no"),("Answer: (B) No","no"),("(a) yes","yes"),("B",None),("yes yes","yes"),("YES!!!","yes"),
    ("Yes... no, wait, yes.","yes"),("Yes. Wait, no.","no"),("No. Actually, yes.","yes"),("Not sure, probably yes",None),("I'm not sure.","not sure"),("It is uncertain","not sure"),("unclear",None),("cannot be determined",None),
    ("No abnormality is seen",None),("no atrial fibrillation","no"),("Normal",None),("No, but yes",None),("The answer is: no, there are clear P waves.","no"),("yes and the rhythm is irregular","yes"),("yes or maybe no",None),
    ("Question: does it show AF?\nYes","yes"),("Final Answer: **No**","no"),("Yes, the answer is yes","yes"),("The answer is not yes",None),("Is it AF? No.","no"),("true","yes"),("Not true",None),("Incorrect.","no"),("not present in this ECG","no"),
    ("the second ECG shows no atrial fibrillation","no"),("no sign of it","no"),("Non",None),("Nope, it's sinus rhythm","no"),("noise",None),("Possibly yes",None),("likely yes",None),("Yes/No: yes",None),("Yes or No? Yes",None)
])  # fmt: skip
def test_a_verdict_is_read_as_it_is_meant_or_not_at_all(text, label):
    assert read_verdict(text, VERIFY, ASKED) == (label and {label})


@pytest.mark.parametrize(("text", "label"), [
    ("Atrial fibrillation",{A}),("This ECG shows atrial fibrillation, not atrial flutter.",{A}),("atrial flutter rather than atrial fibrillation",{F}),("It is not atrial flutter but atrial fibrillation",{A}),("Not atrial flutter",None),
    ("The ECG shows neither atrial fibrillation nor atrial flutter.",None),("Both atrial fibrillation and atrial flutter",{A,F}),("both are present",{A,F}),("none",{"none"}),("None of them",{"none"}),("None of these",{"none"}),
    ("{\"answer\": [\"atrial fibrillation\", \"atrial flutter\"]}",{A,F}),("{\"answer\": \"atrial fibrillation\"}",{A}),("Answer: B) atrial flutter",{F}),("(A) atrial fibrillation",{A}),("A",None),("1. atrial fibrillation\n2. atrial flutter",{A,F}),
    ("The most likely answer is atrial fibrillation.",{A}),("I think it is atrial flutter",{F}),("It could be atrial fibrillation or atrial flutter",None),("atrial fibrillation?",{A}),("probably atrial fibrillation",None),("atrial fibrillation (AF)",None),
    ("atrial fibrillation. The rhythm is irregular.",{A}),("atrial fibrillation, because the rhythm is irregular",{A}),("atrial fibrillation due to the absence of P waves",{A}),("Atrial fibrillation. Explanation: no P waves, no atrial flutter waves.",{A}),
    ("The first ECG shows sinus rhythm and the second ECG shows atrial fibrillation.",None),("No atrial fibrillation, but atrial flutter",None),("Sinus rhythm. No atrial fibrillation or flutter.",None),("lead II and lead III",{"lead ii","lead iii"}),("II, III, and aVF",{"lead ii","lead iii","lead avf"}),
    ("Leads: II, III, aVF",{"lead ii","lead iii","lead avf"}),("leads V1, V2",{"lead v1","lead v2"}),("V1 V2",None),("I",{"lead i"}),("lead I",{"lead i"}),("I see sinus rhythm",{S}),("I think sinus rhythm",{S}),("limb leads",None),("all except lead V1",None),("not in lead V1",None),("lead V1, not V2",None),
    ("myocardial infarction",{"myocardial infarction"}),("inferior leads",None),("myocardial infarction in inferior leads, ischemic in lateral leads",{"myocardial infarction in inferior leads","ischemic in lateral leads"}),
    ("Findings:\n- sinus rhythm\n- lead V1",{S,"lead v1"}),("sinus rhythm\natrial flutter",{S,F}),("sinus rhythm and/or atrial flutter",None),("sinus rhythm vs atrial flutter",None),("sinus rhythm -> atrial flutter",None),("from sinus rhythm to atrial flutter",None),
    ("sinus rhythm changed to atrial flutter",None),("sinus rhythm (resolved), atrial flutter (new)",None),("no longer sinus rhythm",None),("without sinus rhythm",None),("absence of sinus rhythm",None),("Unlikely: sinus rhythm",None),("Excluded: sinus rhythm",None),("sinus rhythm is absent",None),("sinus rhythm is not present",None),
    ("sinus rhythm is present",{S}),("sinus rhythm: no",None),("sinus rhythm: yes",None),("sinus rhythm - yes; atrial flutter - no",None),("Options: sinus rhythm, atrial flutter",None),("<answer>sinus rhythm</answer>",{S}),("sinus rhythm</s>atrial flutter",{S}),("sinus rhythm\n\nuser: what else?",{S}),
    ("sinus rhythm. Wait, atrial flutter.",{F}),("qt interval is above the normal range",None),("above the normal range because the QT interval is 480 ms",{"above the normal range"}),("The value is within the normal range.",None),
    ("conduction disturbance + hypertrophy",{"conduction disturbance","hypertrophy"}),("hypertrophy, and conduction disturbance",{"conduction disturbance","hypertrophy"}),("none, none",{"none"}),("sinus arrhythmia with sinus bradycardia",{"sinus arrhythmia","sinus bradycardia"}),("with sinus rhythm",{S}),("sinus rhythm;",{S}),("- [ ] sinus rhythm\n- [x] atrial flutter",None),
    ("- [x] sinus rhythm",None),("I. sinus rhythm",{S}),("a sinus rhythm",{S})
])  # fmt: skip
def test_a_set_is_read_whole_or_not_at_all(text, label):
    assert read_answers(text, VOCABULARY, (), OFFERED) == label


def test_a_verdict_that_is_no_option_is_none():
    assert read_verdict("Not sure", ("yes", "no"), ASKED) is None


ENDLESS = ["a", "no ", "(", "[", "{", "yes\n", "<think>", "</think>", "\\boxed{", "**", "_a", "`", "- ", "sinus rhythm and ", "not ", "Answer: ", "the answer is ", "lead v1 to ", "v1-", "II, ", "\n",
           " ", ".", "a)", "1. ", "i think ", "there is ", "the ecg ", "because", "<", "&lt;"]  # fmt: skip


def read_both(text):
    return read_verdict(text, VERIFY, ASKED), read_answers(text, VOCABULARY, (), OFFERED)


def test_the_work_grows_with_the_length():
    assert_linear("tests.tasks.test_ecg_qa_parser:read_both", ENDLESS)


BLOCK = "<ecg>\nIs there any indication of a left bundle branch block in this ECG? Please answer briefly."
LEADS = "<ecg>\nWhich lead shows ischemia, lead V1 or lead V4? Please answer briefly."
MORE = VOCABULARY | {
    "long qt-interval",
    "old stage of myocardial infarction",
    "left ventricular hypertrophy",
    "non-specific st changes",
    "burst noise",
    "sinus tachycardia",
    "baseline drift",
    "static noise",
}


@pytest.mark.parametrize(("text", "label"), [
    ("Yes, there is.", "yes"), ("No, there is not.", "no"),
    ("Yes, the ECG indicates a left bundle branch block.", "yes"), ("No left bundle branch block.", "no"),
    ("No left bundle branch block is seen; right bundle branch block is.", "no"),
    ("There is a left bundle branch block in this ECG.", "yes"),
    ("The ECG does not indicate a left bundle branch block.", "no"),
    ("The tracing shows no left bundle branch block.", "no"),
    ("The tracing shows a right bundle branch block.", None),
    ("<think>no? hmm, wide QRS in V1</think>\n**Yes**", "yes"), ("no.\n\nExplanation: narrow QRS", "no"),
    ("ANSWER: YES", "yes"), ("My answer would be no.", "no"), ("Yes; no; yes", None),
    ("I would lean towards yes", "yes"), ("Maybe yes, maybe no", None), ("I do not know", None),
    ("No information", None), ("no, not at all", "no"), ("Not at all", "no"), ("absolutely yes", "yes"),
    ("Yes!", "yes"), ("y", None), ("yes, although it is subtle", "yes"), ("The answer: \"yes\".", "yes"),
    ("{'answer': 'no'}", "no"), ("[\"yes\"]", "yes"), ("<answer>No</answer>", "no"), ("1) no", "no"),
])  # fmt: skip
def test_another_question_and_its_verdicts(text, label):
    assert read_verdict(text, VERIFY, BLOCK) == (label and {label})


@pytest.mark.parametrize(("text", "label"), [
    ("lead V4", {"lead v4"}), ("Lead V4.", {"lead v4"}), ("V4", {"lead v4"}),
    ("It is lead V4, since ST is depressed there.", {"lead v4"}), ("The affected lead is V4", None),
    ("lead V4, not lead V1", {"lead v4"}), ("Both leads", None), ("Both.", {"lead v1", "lead v4"}),
    ("leads V1 and V4", {"lead v1", "lead v4"}), ("neither of them", {"none"}), ("lead V7", None), ("lead 4", None),
    ("V4 (most), V1 (less)", None), ("lead V1 or lead V4", None), ("none, both look normal", None),
    ("long QT-interval and sinus bradycardia", {"long qt-interval", "sinus bradycardia"}),
    ("Long QT interval", None),
    ("I believe it is old stage of myocardial infarction", {"old stage of myocardial infarction"}),
    ("Diagnosis: left ventricular hypertrophy; long qt-interval", {"left ventricular hypertrophy", "long qt-interval"}),
    ("- left ventricular hypertrophy\n- non-specific ST changes", {"left ventricular hypertrophy", "non-specific st changes"}),
    ("sinus tachycardia (120 bpm)", None), ("sinus tachycardia at 120 bpm", {"sinus tachycardia"}), ("no noise", None),
    ("baseline drift is visible in all leads", None), ("not baseline drift, static noise", None),
    ("{\"answer\": \"sinus rhythm, burst noise\"}", {"sinus rhythm", "burst noise"}),
    ("sinus rhythm. Atrial fibrillation is not present.", {S}),
    ("<think>atrial flutter?</think> sinus rhythm", {"sinus rhythm"}),
])  # fmt: skip
def test_another_question_and_its_sets(text, label):
    assert read_answers(text, MORE, (), LEADS) == label
