"""Localization's parser: what is an answer, what belongs to something else, and what contradicts itself; and in
time.
"""

import json

import numpy as np
import pytest

from anyecg.tasks.localization.build import NAMES
from anyecg.tasks.localization.parser import read_intervals
from tests.linear import assert_linear

PVC = "Premature ventricular contraction"


def read(text, name=PVC, seconds=10.0):
    found = read_intervals(text, name, seconds)
    return None if found is None else [[round(float(edge), 6) for edge in pair] for pair in found]


@pytest.mark.parametrize(("text", "label"), [
    ("PVCs occur at 2.0-4.0 s, with normal beats from 4.0 s to 10.0 s.",[[2,4]]),
    ("Normal sinus rhythm with a PVC at 2.0s-4.0s.",[[2,4]]),
    ("The normal beats span 0.0s-2.0s and 4.0s-10.0s, and the PVC spans 2.0s-4.0s.",[[2,4]]),
    ("Segment 0.0s-2.0s: sinus rhythm\nSegment 2.0s-4.0s: PVC\nSegment 4.0s-10.0s: sinus rhythm",[[2,4]]),
    ("| Time | Finding |\n|---|---|\n| 0.0s-2.0s | Normal |\n| 2.0s-4.0s | PVC |",[[2,4]]),
    ("There is one premature ventricular contraction, seen between 2.0 and 4.0 s in lead II.",[[2,4]]),
    ("I see a PVC from 2.0s to 4.0s. There are no other PVCs.",[[2,4]]),
    ("No PVC from 0.0s to 2.0s. PVC from 2.0s to 4.0s.",[[2,4]]),
    ("Duration: 2.0s-4.0s\nNo further premature ventricular contractions found",[[2,4]]),
    ("The PR interval is 0.16-0.18 s, QT 0.38-0.40 s, and PVCs appear in 2.0s-4.0s",[[2,4]]),
    ("Intervals: (0.4, 3.7) and (4.6, 9.3) seconds",[[0.4,3.7],[4.6,9.3]]),
    ('{"abnormality": "PVC", "intervals": [{"start": 0.4, "end": 3.7}, {"start": 4.6, "end": 9.3}]}',[[0.4,3.7],[4.6,9.3]]),
    ('{"duration": "2.0s-4.0s"}',[[2,4]]),
    ('{"answer": "No Premature ventricular contraction Found"}',[]),
    ('{"answer": "Duration: 2.0s-4.0s", "confidence": 0.9}',[[2,4]]),
    ('{"found": false, "intervals": []}',[]),
    ("['2.0s-4.0s', '5.0s-6.0s']",[[2,4],[5,6]]),
    ("Duration: 2.0s-4.0s or 3.0s-5.0s",None),
    ("Either 2.0s-4.0s or none.",None),
    ("PVC or aberrant beat: 2.0s-4.0s",None),
    ("The strip runs from 0.0s to 10.0s. No PVC is seen.",[]),
    ("The ECG covers 0.0s-10.0s. PVC at 2.0s-4.0s.",[[2,4]]),
    ("The window of 0-10 s contains a PVC from 2.0 to 4.0 s",[[2,4]]),
    ("I looked at 0.0s-10.0s and found nothing.",None),
    ("No, there isn't a premature ventricular contraction anywhere in this recording.",[]),
    ("There were no PVCs identified in the tracing between 0s and 10s.",None),
    ("The ECG is negative for premature ventricular contractions.",[]),
    ("PVC: none",[]),("PVCs: not present",[]),("Premature ventricular contraction: absent",[]),
    ("PVCs cannot be excluded.",None),
    ("It is not clear whether there is a PVC.",None),
    ("Atrial fibrillation from 2.0s to 4.0s",None),
    ("AF: 2.0s-4.0s",None),
    ("Left bundle branch block beat: 2.0s-4.0s",None),
    ("Possible PVC at 2.0s-4.0s",[[2,4]]),
    ("Beat 3 (2.0s-4.0s) is a PVC",[[2,4]]),
    ("Beats 3, 4 and 5",None),
    ("Grade 2-3 murmur",None),
    ("Onset 2.0 s, offset 4.0 s",[[2,4]]),
    ("Onset: 2.0 - Offset: 4.0",[[2,4]]),
    ("Start: 2.0\nEnd: 4.0",[[2,4]]),
    ("start_time=2.0, end_time=4.0",[[2,4]]),
    ("Time: 2.0-4.0 s; Lead: II",[[2,4]]),
    ("2.0s-4.0s (lead II) and 5.0s-6.0s (lead V1)",[[2,4],[5,6]]),
    ("2.0s to 4.0s and from 5.0s to 6.0s",[[2,4],[5,6]]),
    ("Between 2.0 and 4.0 and between 5.0 and 6.0 seconds.",[[2,4],[5,6]]),
    ("The abnormal beats are from 2.0 s to 4.0 s.",[[2,4]]),
    ("The abnormality is located in 2.0s-4.0s",[[2,4]]),
    ("Everything except 2.0s-4.0s is normal.",None),
    ("Except for 2.0s-4.0s the rhythm is sinus.",None),
    ("I would say 2.0s-4.0s",[[2,4]]),
    ("I would estimate 2.0s-4.0s as the duration.",[[2,4]]),
    ("Wait, let me re-check. Duration: 2.0s-4.0s",[[2,4]]),
    ("Duration: 1.0s-3.0s. Actually no, Duration: 2.0s-4.0s",[[2,4]]),
    ("First I thought 1.0s-3.0s. On second thought: 2.0s-4.0s",[[2,4]]),
    ("Duration: 2.0 s–4.0 s (≈ 2 s)",[[2,4]]),
    ("2s-4s",[[2,4]]),("2 s — 4 s",[[2,4]]),("2.0 sec to 4.0 sec",[[2,4]]),
    ("Duration: 0.0s-0.4s",[[0,0.4]]),("Duration: 0.1s-0.2s",[[0.1,0.2]]),
    ("Duration: 0.4s-3.7s, 4.6s-9.3s, 9.5s-",[[0.4,3.7],[4.6,9.3]]),
    ("Duration: 0.4s-3.7s, 4.6s-9.",[[0.4,3.7],[4.6,9]]),
    ("R wave at 2.0 s, next at 4.0 s",None),
    ("coupling interval 0.4-0.5 s",None),
    ("compensatory pause of 1.2-1.4 s",None),
    ("Cycle length 0.8 to 0.9 s",None),
    ("P-R: 0.12-0.20 s",None),
    ("The wide complexes last 0.12-0.16 s",None),
    ("QRS duration between 0.12 and 0.14 seconds",None),
    ("rate 60-100, PVC 2.0s-4.0s",[[2,4]]),
    ("HR 70-80. No PVC found.",[]),
    ("The patient is 60-70 years old. No premature ventricular contraction found.",[]),
    ("No premature ventricular contractions or atrial fibrillation found",[]),
    ("Neither PVCs nor PACs are present",[]),
    ("No arrhythmia",None),("Sinus rhythm",None),("Normal ECG",None),
    ("Unable to detect any PVC",[]),
    ("PVCs are not seen in this ECG.",[]),
    ("PVCs were not identified",[]),
    ("Yes, PVCs are not found",None),
    ("There are PVCs. No PVCs found.",None),
    ("No PVCs found. Duration: 2.0s-4.0s",None),
    ("no PVC at 2.0s-4.0s",None),
    ("Not found in 2.0s-4.0s",None),
    ("2.0s-4.0s is not a PVC",None),
    ("2.0s-4.0s: no PVC; 5.0s-6.0s: PVC",[[5,6]]),
    ("PVC (2.0s-4.0s), PAC (5.0s-6.0s)",[[2,4]]),
    ("PAC (2.0s-4.0s), PVC (5.0s-6.0s)",[[5,6]]),
    ("2.0s-4.0s PVC, 5.0s-6.0s PAC",[[2,4]]),
    ("The QRS complexes at 2.0s-4.0s are wide, consistent with PVC.",[[2,4]]),
    ("Wide QRS complexes are seen at 2.0s-4.0s.",None),
    ("Format: start-end. Answer: 2.0s-4.0s",[[2,4]]),
    ("For example, Duration: 0.4s-3.7s. Here: 2.0s-4.0s",[[2,4]]),
    ("If present it would be at 2.0s-4.0s",None),
    ("user\nWhere?\nassistant\nDuration: 2.0s-4.0s",[[2,4]]),
    ("Duration: 2.0s-4.0s</s>Duration: 5.0s-6.0s",[[2,4]]),
    ("<think>No PVC</think>",None),
    ("1.5s-2.5s, 4.5s-5.5s, and 7.5s-8.5s.",[[1.5,2.5],[4.5,5.5],[7.5,8.5]]),
    ("1.5-2.5, 4.5-5.5",[[1.5,2.5],[4.5,5.5]]),
    ("1-2, 4-5",[[1,2],[4,5]]),
    ("seconds 2-4",[[2,4]]),
    ("from 2 until 4",[[2,4]]),
    ("Lead II: 2.0s-4.0s; Lead V1: none",[[2,4]]),
    ("I count 3-4 PVCs, at 2.0s-4.0s",[[2,4]]),
    ("Premature ventricular contraction found. Duration: 2.0s-4.0s",[[2,4]]),
    ("Premature ventricular contractions (PVCs) are present from 2.0s to 4.0s",[[2,4]]),
    ("Ventricular ectopic beats from 2.0s to 4.0s",[[2,4]]),
    ("ventricular bigeminy from 2.0s to 4.0s",None),
    ("Duration: 4.0s-2.0s, 5.0s-6.0s",None),
    ("Duration: 2.0s-4.0s, 12.0s-14.0s",[[2,4]]),
    ("0:02-0:04",[[2,4]]),
    ("2000-4000 ms",[[2,4]]),("0.12-0.16 seconds QRS",None),
    ("no significant PVCs",[]),
    ("No PVC was found in the first 5 seconds",None),
    ("PVC-free",[]),("This ECG is free from PVCs.",[]),
    ("I found no premature ventricular contraction.",[]),
    ("Premature ventricular contractions do not occur in this ECG.",[]),
    ("The ECG shows no signs of premature ventricular contractions.",[]),
    ("In this tracing, premature ventricular contractions appear twice: first at 1.2s-2.0s and later at 6.3s-7.1s.",[[1.2,2.0],[6.3,7.1]]),
    ("The ectopic beats span 3.1 s to 3.9 s.",[[3.1,3.9]]),
    ("PVC located: 0.8s–1.6s (beat 2), 4.0s–4.8s (beat 6)",[[0.8,1.6],[4.0,4.8]]),
    ("Beats 2 and 6 are premature; times 0.8-1.6 s and 4.0-4.8 s",[[0.8,1.6],[4.0,4.8]]),
    ("Baseline noise from 0.0s to 1.0s; premature ventricular contraction from 5.0s to 5.8s.",[[5.0,5.8]]),
    ("The first 2 seconds are normal. PVC: 3.0s-4.0s",[[3,4]]),
    ("Duration of the PVC: 3.0s-4.0s",[[3,4]]),
    ("Duration of the QRS in the PVC: 0.14s-0.18s",None),
    ("PVC duration: 0.8 s",None),
    ("It lies between 3.0 s and 4.0 s, i.e. after the second T wave.",[[3,4]]),
    ("3.0s-4.0s, where the QRS is 0.16 s wide.",[[3,4]]),
    ("3.0s-4.0s. The PR interval elsewhere is 0.12-0.20 s.",[[3,4]]),
    ("Premature ventricular contraction not found in lead I but found in lead II at 3.0s-4.0s",None),
    ("There are no premature atrial contractions. Premature ventricular contraction: 3.0s-4.0s.",[[3,4]]),
    ("There are no premature atrial contractions.",None),
    ("No PACs or PVCs are seen.",[]),
    ("Not a single PVC.",[]),
    ("I could not find a premature ventricular contraction in the given window.",[]),
    ("Premature ventricular contractions were looked for and not found.",[]),
    ("No evidence for PVCs was found.",[]),
    ("PVCs? None.",[]),
    ("The answer is no premature ventricular contraction found.",[]),
    ("Result: none",[]),
    ("It is unclear whether PVCs are present.",None),
    ("No PVCs until 5.0s.",None),
    ("<think>\nLet me look. 1.0s-2.0s? No.\n</think>\n\nDuration: 5.0s-6.0s",[[5,6]]),
    ("Reasoning: wide beats near 5 s.\nFinal answer: 5.0s-6.0s",[[5,6]]),
    ("I first marked 1.0s-2.0s, but correction: 5.0s-6.0s.",[[5,6]]),
    ("Duration: 5.0s-6.0s. Confidence: 0.7-0.9",[[5,6]]),
    ("Duration: 5.0s-6.0s (confidence 70-90%)",[[5,6]]),
    ("{\"answer\": [{\"onset\": 5.0, \"offset\": 6.0}]}",[[5,6]]),
    ("{\"start_s\": \"5.0s\", \"end_s\": \"6.0s\"}",[[5,6]]),
    ("{\"intervals\": [[5.0, 6.0]], \"heart_rate\": 72}",[[5,6]]),
    ("5.0:6.0",None),
    ("5.0/6.0",None),
    ("5.0 s, 6.0 s",None),
    ("at 5.0 s and 6.0 s",None),
    ("begin 5.0 s | end 6.0 s",[[5,6]]),
    ("from 5.0 seconds up to 6.0 seconds",[[5,6]]),
    ("5000 ms - 6000 ms",[[5,6]]),
    ("0:05.0-0:06.0",[[5,6]]),
    ("von 5,0 s bis 6,0 s",[[5,6]]),
    ("5,0-6,0 s; 7,0-8,0 s",[[5,6],[7,8]]),
    ("Duration: 5.0s-6.0s?? or not at all",None),
    ("Perhaps 5.0s-6.0s or perhaps 7.0s-8.0s.",None),
    ("5.0s-6.0s and possibly 7.0s-8.0s",[[5,6],[7,8]]),
    ("Sinus rhythm 0.0s-5.0s, PVC 5.0s-6.0s, sinus rhythm 6.0s-10.0s",[[5,6]]),
    ("0.0s-5.0s: sinus, 5.0s-6.0s: ventricular premature beat, 6.0s-10.0s: sinus",[[5,6]]),
    ("Artifact at 5.0s-6.0s, no PVC.",[]),
    ("What looks like a PVC at 5.0s-6.0s is an artifact.",None),
    ("5.0s-6.0s is an artifact, not a PVC.",None),
    ("Ventricular run of 3-5 beats at 5.0s-6.0s",None),
    ("PVCs in lead II from 5.0s to 6.0s, in lead V1 none",[[5,6]]),
    ("Every 2-3 seconds a PVC occurs.",None),
    ("A pause of 1.0-1.4 s follows the PVC.",None),
    ("Heart rate 60-70, PVC count 2-3",None),
    ("10.0s-12.0s",None),
    ("Duration: 9.5s-10.5s",[[9.5,10]]),
    # JSON and tables: intervals of other classes, columns, milliseconds
    ('[{"label": "Normal", "start": 0, "end": 2}, {"label": "PVC", "start": 2, "end": 4}]',[[2,4]]),
    ('[{"start": 0, "end": 2, "type": "PAC"}]',[]),
    ('[{"label": "N", "start": 0, "end": 2}, {"label": "PVC", "start": 2, "end": 4}]',None),
    ('[{"label": "not PVC", "start": 0, "end": 2}]',None),
    ('{"start": [1.2, 4.5], "end": [2.0, 5.1]}',[[1.2,2],[4.5,5.1]]),
    ('{"onsets": [1.2, 4.5], "offsets": [2.0]}',None),
    ('[{"start_ms": 1200, "end_ms": 2000}]',[[1.2,2]]),
    ('{"unit": "ms", "intervals": [[1200, 2000]]}',[[1.2,2]]),
    ('{"found": true, "intervals": []}',None),
    ("| Start (ms) | End (ms) |\n|---|---|\n| 1200 | 2000 |",[[1.2,2]]),
    ("| Start | End | Finding |\n|---|---|---|\n| 0 | 2 | Normal |\n| 2 | 4 | PVC |",[[2,4]]),
    ("| Finding | Start | End |\n|---|---|---|\n| Normal | 0 | 2 |\n| PVC | 2 | 4 |",[[2,4]]),
    ("| Finding | Start | End |\n|---|---|---|\n| regular | 0 | 2 |\n| PVC | 2 | 4 |",None),
    # intervals of something else, and of the recording
    ("Segment 0-1.2 s: regular. Segment 1.2-2.0 s: PVC. Segment 2-10 s: regular.",None),
    ("In this 10-second ECG (0-10 s) the PVC is at 1.2-2.0 s.",[[1.2,2]]),
    ("ECG from 0s to 10s. PVC from 1.2s to 2.0s.",[[1.2,2]]),
    ("PVC in the ECG from 0s to 10s.",[[0,10]]),
    ("The R-R before the PVC is 0.4-0.5 s; the PVC itself spans 1.2-2.0 s.",[[1.2,2]]),
    ("Duration: 1.2s-2.0s. The QRS is wide (>0.12 s) and is followed by a compensatory pause (2.0 s-3.1 s).",[[1.2,2]]),
    ("Duration: 1.2s-2.0s (±0.1-0.2 s)",[[1.2,2]]),
    ("Duration: 1.2s-2.0s. Between 5 s and 7 s, atrial fibrillation is present.",[[1.2,2]]),
    ("Duration: 1.2s-2.0s\n\nQuestion: Where is atrial fibrillation?\nAnswer: Duration: 4s-5s",[[1.2,2]]),
])  # fmt: skip
def test_an_answer_is_read_as_it_is_meant_or_not_at_all(text, label):
    assert read(text) == label


@pytest.mark.parametrize("name", NAMES.values())
def test_every_class_reads_its_own_forms_and_no_other_class(name):
    assert read(f"No {name} Found", name) == []
    assert read("Duration: 0.4s-3.7s, 4.6s-9.3s", name) == [[0.4, 3.7], [4.6, 9.3]]
    assert read(f"{name}: 2.0s-4.0s", name) == [[2, 4]]
    for other in set(NAMES.values()) - {name}:
        assert read(f"No {other} Found", name) is None and read(f"{other}: 2.0s-4.0s", name) is None, other


def test_every_interval_to_a_tenth_of_a_second_reads_back():
    rng = np.random.default_rng(0)
    for _ in range(300):
        edges = np.sort(rng.choice(np.arange(601), size=2 * rng.integers(1, 25), replace=False)) / 10
        pairs = edges.reshape(-1, 2).tolist()
        text = "Duration: " + ", ".join(f"{start}s-{end}s" for start, end in pairs)
        assert read(text, seconds=60.0) == pairs
        assert read(json.dumps({"intervals": pairs}), seconds=60.0) == pairs


ENDLESS = ["a", "no ", "1", "(", "[", "{", "0.1s-", "4/5 ", "<think>", "</think>", "\\boxed{", "**", "_a", "`", "| 1 ", "- ", "no PVC, ", "PVC ", "from 2 ", "between 1.0 ", "start ",
           "starts at 2.0 s and ", "not ", "Answer: ", "the answer is ", "wait ", "1,", "2:", "00:02 ", "the end ", "\n", " ", ".", "<", "&lt;", "cannot see any ", "PVC is ", "<b", "<|"]  # fmt: skip


def test_the_work_grows_with_the_length():
    assert_linear("tests.tasks.test_localization_parser:read", ENDLESS)
