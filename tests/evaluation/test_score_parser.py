"""The score in a judge's reply: read as it is meant or not at all, with the reason; and in time."""

import pytest

from anyecg.evaluation import score_parser
from anyecg.evaluation.score_parser import read_score
from tests.linear import assert_linear

N = None


@pytest.mark.parametrize(("text", "score"), [
    ("4", 4), ("4.5", 4.5), ("4/5", 4), ("4.0 / 5.0", 4), ("**Score: 3.5**", 3.5), ("Score: **3.5**/5", 3.5), ("The final score is 4.", 4), ("4 out of 5", 4),
    ("On a scale from 0 to 5, I'd give it 2.", 2), ("score (0-5): 2", 2), ("\\boxed{1}", 1), ("Four.", 4), ("zero", 0), ("3½", 3.5), ("5 stars", 5), ("0", 0),
    ("<think>3? No, 2 ECGs are wrong.</think>\n1", 1), ("The score is 4 because ECG 2 shows AF", 4), ("- 4", 4)])  # fmt: skip
def test_a_score_is_read_however_it_is_put(text, score):
    assert read_score(text) == (score, "")


@pytest.mark.parametrize(("text", "why"), [
    ("", score_parser.EMPTY), (" \n", score_parser.EMPTY), ("<think>maybe 3", score_parser.EMPTY), ("I cannot score this.", score_parser.NO_NUMBER), ("N/A", score_parser.NO_NUMBER),
    ("nan", score_parser.NO_NUMBER), ("0 to 5", score_parser.NO_NUMBER), ("V5", score_parser.NO_NUMBER), ("7", score_parser.OUTSIDE), ("-1", score_parser.OUTSIDE), ("100", score_parser.OUTSIDE),
    ("8/10", score_parser.OTHER_SCALE), ("80 %", score_parser.OTHER_SCALE), ("4 out of 50", score_parser.OTHER_SCALE), ("3-4", score_parser.SEVERAL), ("between 3 and 4", score_parser.SEVERAL),
    ("4, 5", score_parser.SEVERAL), ("Score: 3. Score: 4", score_parser.SEVERAL), ("I found 1 error.", score_parser.IN_PROSE), ("Not without ECG 2", score_parser.IN_PROSE)])  # fmt: skip
def test_what_is_no_score_says_why(text, why):
    assert read_score(text) == (None, why)


@pytest.mark.parametrize(("text", "score"), [
    ("I'd rate this 4/5 because ECG 2 is wrong", 4), ("4 of 5", 4), ("4 - the answer is right", 4), ("5/5 = perfect", 5), ("4 – ECGs 1, 2 and 3 are right", 4),
    ("3.5 — one finding is missing", 3.5), ("4/5 because it has 1 error in ECG 2", 4), ("It does not mention ECG 3, so I'd give it 2/5.", 2),
    ("The rhythm is right. 4 out of 5, since the axis is missing.", 4), ("Final score: 3/5. ECG 2 is wrong.", 3), ("4/5. Overall 4/5.", 4), ("(4/5) mostly right", 4),
    ("Score: 4/5, since 3 of 5 ECGs are right", 4), ("0/5 - completely wrong", 0), ("**4**/5 - ECG 1 is right", 4),
    ("4 - not quite a 5", 4), ("A score of 5 would need every ECG; 3", 3), ("3 of 5 ECGs are right, so I give 4/5", 4), ("three out of five", 3)])  # fmt: skip
def test_a_score_with_its_reasons_is_read(text, score):
    assert read_score(text) == (score, "")
    assert read_score(f"{text} and so on", cut=True)[0] in (score, None)


@pytest.mark.parametrize(("text", "why"), [
    ("3/5 or 4/5 because ECG 2 is wrong", score_parser.SEVERAL), ("0/5 = wrong, 5/5 = perfect", score_parser.SEVERAL), ("4/5, maybe 3", score_parser.SEVERAL),
    ("4/5 because it is right. No, 3.", score_parser.SEVERAL), ("1 - rhythm right\n2 - axis wrong", score_parser.SEVERAL),
    ("3-4/5", score_parser.SEVERAL), ("between 3 and 4/5 because", score_parser.SEVERAL), ("Score: 3. I'd rate it 4/5.", score_parser.SEVERAL),
    ("4 - 5", score_parser.SEVERAL),
    ("3 of 5 ECGs are right", score_parser.IN_PROSE), ("It covers 3/5.", score_parser.IN_PROSE), ("Right in 3/5 ECGs", score_parser.IN_PROSE), ("ECG 4/5 is wrong", score_parser.IN_PROSE),
    ("It would score 4/5 if ECG 2 were right", score_parser.IN_PROSE), ("If ECG 2 were right, it would score 4/5", score_parser.IN_PROSE), ("I would not give it 4/5", score_parser.IN_PROSE),
    ("less than 4/5", score_parser.IN_PROSE), ("6/5 because it is perfect", score_parser.OUTSIDE), ("-1/5 = useless", score_parser.OUTSIDE), ("7 - the answer is right", score_parser.OUTSIDE),
    ("-4 - the answer is wrong", score_parser.OUTSIDE), ("4/10 because ECG 2 is wrong", score_parser.OTHER_SCALE), ("4 of 50", score_parser.SEVERAL),
    ("2-lead ECG", score_parser.IN_PROSE), ("4,5", score_parser.NO_NUMBER)])  # fmt: skip
def test_what_could_be_another_score_is_none(text, why):
    assert read_score(text) == (None, why)


def test_a_reply_that_was_cut_is_not_taken_for_its_first_digits():
    assert (
        read_score("Score: 3", cut=True)
        == read_score("", cut=True)
        == read_score("Let me think", cut=True)
        == (None, score_parser.CUT)
    )


@pytest.mark.parametrize(("text", "label"), [
    ("Score: 4/5\n\nReasoning: the answer identifies 3 of 4 findings.",4),("I'd assign a score of 3 out of 5.",3),("The score I would give is 3.",3),("I would give it 3.5 out of 5 because the second ECG is misread.",3.5),("Final score: 2.5/5.0",2.5),
    ("Rating: ★★★☆☆ (3/5)",3),("3/5 ⭐",3),("Three stars",3),("Score: three out of five",3),("The answer deserves a 2.",2),("2 points out of 5",2),("I give 2 points.",2),("Score - 3",3),("SCORE: 3",3),("score : 3 / 5",3),("Final: 3",3),("Overall: 3/5",3),("Overall, 3",3),("Overall, I'd give this answer a 3 out of 5.",3),
    ("The final score is between 3 and 4.",N),("Score: 3 or 4",N),("Score: 3-4",N),("3.5 to 4",N),("somewhere between 3 and 4, so 3.5",3.5),("Somewhere between 3 and 4. Final score: 3.5",3.5),("Score: 3, maybe 4",N),("Score for ECG 1: 4. Score for ECG 2: 2.",N),("ECG 1: 4/5, ECG 2: 2/5",N),("ECG 1: 4/5\nECG 2: 2/5\nAverage: 3/5",3),("ECG 1 score: 4",N),
    ("A perfect score of 5 is not warranted.",N),("A perfect score of 5 is not warranted; I give 3.",3),("It does not deserve more than 2.",N),("It is not worth a 4.",N),("Not a 4.",N),("I can't give it a 4.",N),("It would have been 5 with the axis. As it is, 3.",3),("If it had named the axis it would be a 5. I give 3.",3),
    ("Score: 60/100",N),("Score: 6/10",N),("6 out of 10",N),("Score: 60%",N),("60 out of 100",N),("3/5 (60%)",3),("3 (60%)",3),("60% (3/5)",3),("Score: 3 (out of a maximum of 5)",3),("3 out of the maximum 5",3),("On a scale of 1 to 10: 6",N),("On a scale from 1-5, 4",N),("Scale 0-5: 4",4),
    ("1",1),("1.",1),("1)",1),("1/5",1),("1 - completely wrong except ECG 1",1),("1: mostly wrong",1),("0 - wrong",0),("0, because nothing is right",0),("5 – perfect",5),("5. The answer is right.",5),("3. The rhythm is right but the axis is wrong.",3),
    ("1. The rhythm is right.\n2. The axis is wrong.\n3",3),("1. Rhythm: correct\n2. Axis: wrong",N),("Step 1: rhythm right. Step 2: axis wrong. Score: 3",3),("There are 2 errors and 1 omission. Score: 2",2),("There are 2 errors.",N),("2 errors, 3 correct",N),("Heart rate 72 is wrong. Score: 2",2),("Heart rate of 72",N),("The QRS is 4 mm",N),("The PR interval is 0.2 s",N),("In 2 of the 5 ECGs it is right",N),("2 of the 5 are right, so 2",2),("2/5 of the findings are right",N),("It got 4/5 findings",N),
    ("5 - 2 = 3",3),("5-1-1=3",3),("Start with 5, minus 2 for ECG 3: 3",N),("5 minus 2 equals 3",3),("(4+2)/2=3",3),("4 + 2 = 6, 6/2 = 3",N),("Total: 5 - 2",N),("-2 points for the axis, so 3",3),("I deduct 2 points. Score: 3",3),("2 points deducted: 3",3),("Deduct 1 point",N),("Lost 2 points",N),
    ('{"score": 3}',3),('{"score": "3/5"}',3),('{"score": 3, "max": 5}',3),('{"Score": 3.5}',3.5),('{"accuracy": 3, "completeness": 4}',N),('{"final_score": 3, "accuracy": 4}',3),('```json\n{"score": 3, "why": "ECG 2"}\n```',3),('Here: {"score": 3}',3),('{"score": 30}',N),('{"score": null}',N),('{"score": "high"}',N),("{'score': 3}",3),('[3]',3),
    ("<think>The answer is 2, or 3.</think>3",3),("</think>3",3),("<think>5",N),("Thinking: 3 or 4. Answer: 4",N),("My final answer is 3",3),("The answer gets 3",3),("The answer is right in 3 ECGs",N),("answer 3",3),("Score: 3. Wait, ECG 2 is wrong too, so 2.",2),("Score: 3. No, 2.",N),("3. Actually, no: 2",2),("Score: 3\n\nScore: 2",N),("Final score: 3. Final score: 3",3),
    ("Score: 3*",3),("***3***",3),("~~4~~ 3",N),("Score: **3** / **5**",3),("$3/5$",3),("\\boxed{3/5}",3),("3 \\text{ out of } 5",3),("Score=3;",3),("score is: 3",3),("The score is therefore 3.",3),("The score would be 3.",3),("The score should be around 3",3),("score 3ish",N),("3rd",N),("a 3-point answer",N),("3 out of 5 possible points",3),("3 / 5 possible",3),("Grade: B",N),("III",N),("Score: 3 < 4",3),("Score: <3",N),("score > 3",N),("less than 3",N),("greater than or equal to 3",N),("3 or less",N),("3 at most",N),("at least a 3",N),("above 3",N),("close to 3",N),("nearly 3",N),("3, nearly 4",N),
    ("Reference: 5. Answer: 3.",N),("The reference scores 5, the answer 3",N),("Maximum: 5. Score: 3.",3),("3 (max 5)",3),("Score: 3 (max. 5)",3),("Points: 3",3),("评分: 3/5",3),("得分：3",3),("Bewertung: 3 von 5",3),("note : 3 sur 5",3),("3,5/5",N),("Score: 3,5",N),("3.5.",3.5),(".5",N),("3..5",N),("3,0",N),("005",5),("5.5",N),("+3",3),("± 3",N),("2^2",N),("1e0",N),("3!",3),("3 3/4",N),("Score: 3/5, 4/5 for style",N),
    ("Overall the answer is good but misses LBBB. 4/5", 4), ("Good. I'd say 4.", 4), ("**Rating: 4.5/5**", 4.5),
    ("Score: 4 out of 5 points", 4), ("Points awarded: 4", 4), ("Out of 5, I would give it a 3.", 3),
    ("out of five: 3", 3), ("Three out of 5.", 3), ("Final verdict: 2", 2), ("I'd go with 2.5", 2.5),
    ("It merits a 2, no more.", 2), ("3, since it misses the axis in ECG 2.", 3),
    ("3 – ECG 2 misread; ECG 3 missing", 3), ("ECG 2 misread. 3", 3),
    ("Only 1 of the 3 claims holds, hence 1.5.", 1.5), ("2 claims right, 1 wrong -> 3", 3),
    ("Correct: 2/3. Score: 3", 3), ("Correctness 3/5, completeness 2/5", N),
    ("Correctness: 3, completeness: 2, final score: 2.5", 2.5), ("5 - 0.5 - 0.5 = 4", 4),
    ("Starting from 5, I take off 1 for the axis. Score: 4", 4), ("4 (−1 for the axis)", 4),
    ("-1 for the axis", N), ("Can't be more than 2.", N), ("At best 2.", N), ("2 at best", N),
    ("2–3", N), ("2 or 3, let's say 2.5", N), ("Between 2 and 3: 2.5", N), ("2.5 (between 2 and 3)", N),
    ("<think>3</think>", N), ("<think>3 or 4</think>Final score: 3.5", 3.5),
    ("{\"score\": 3.5, \"comment\": \"2 of 4\"}", 3.5), ("{\"rating\": \"4/5\"}", 4), ("score: N/A", N),
    ("No score", N), ("Score: zero", 0), ("0 points", 0), ("A zero.", 0), ("100%", N),
    ("7/10, i.e. 3.5/5", N), ("Score: 70/100", N), ("B (3)", N), ("3*", 3), ("3 stars out of 5", 3),
    ("★★★", N), ("3 out of 5 stars.", 3), ("I'd rate this a strong 4.", 4),
    ("It would be a 4 were the axis right.", N), ("Had it named the axis, 5; as it stands, 3.", 3),
    ("The model deserves no more than a 3. Score: 3", 3), ("The score is not 5.", N),
    ("Score: 4 (not 5, because the axis is missing)", 4), ("ECG 1 is right (5), ECG 2 is wrong (0).", N),
    ("Average of 5 and 0 is 2.5", N), ("Score: 3\nThe reference says 4 findings.", 3),
    ("I scored it 4 yesterday.", N),
])  # fmt: skip
def test_a_reply_is_read_as_it_is_meant_or_not_at_all(text, label):
    score, why = read_score(text)
    assert score == label and (score is None) == bool(why)


ENDLESS = ["a", "1", "(", "0.1s-", "1 ", "4/5 ", "<think>", "</think>", "\\boxed{", "**", "| 1 ", "- ", "score ", "score: ", "the ", "final score ", "5 - ", "(5+", "1 of ", "ECG 1, ", "1,", "2:", "\n", " ",
           ".", "1. ", "i think ", "no more than ", "0-", "0 to 5 ", "on a scale ", "%", "1%", "minus 1 ", "was ", "if "]  # fmt: skip


def test_the_work_grows_with_the_length():
    assert_linear("tests.evaluation.test_score_parser:read_score", ENDLESS)
