"""A conversation becomes pieces of token ids and ECG slots, in the words of the LLM's own chat template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from anyecg.types import MARKER, ConfigError, Turn

PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}User: {{ message.content }}\n"
    "{% else %}Assistant: {{ message.content }}{{ eos_token }}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
# Vicuna's, whose tokenizer brings none: LLaVA's conversation "v1", with which PULSE was trained
VICUNA = (
    "{{ bos_token }}A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. {% for message in messages %}"
    "{% if message.role == 'user' %}USER: {{ message.content }} "
    "{% else %}ASSISTANT: {{ message.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
# Of open-instruct, which MEIT has: the tags are ordinary words.
TULU = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}"
    "{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"  # a bare one is trimmed
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
GIVEN = {"plain": PLAIN, "vicuna": VICUNA, "tulu": TULU}
TEMPLATES = ("auto", *GIVEN)


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt: token ids, or (ecg) the place of one ECG; answer: its ids are what is learned."""

    ids: tuple[int, ...] = ()
    ecg: bool = False
    answer: bool = False


class Chat:
    """Conversations in the form an LLM was trained on.

    template: "auto" takes the tokenizer's chat template, or a plain one where it has none; "plain" always the plain
    one; "vicuna" Vicuna's; "tulu" MEIT's. `stop`: the ids that end an answer. ConfigError if the template cannot be
    taken apart turn by turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str = "auto") -> None:
        self.tokenizer = tokenizer
        if template in GIVEN:
            self.template = GIVEN[template]
        else:
            self.template = tokenizer.get_chat_template() if tokenizer.chat_template else PLAIN
        self._special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._frames: dict[tuple[str, ...], list[_Frame]] = {}
        ending = [segment for segment in self.segments([Turn("user", "a"), Turn("assistant", "b")]) if segment.answer][
            -1
        ]
        self.stop = [ending.ids[-1]]

    def segments(self, conversation: Sequence[Turn], for_generation: bool = False) -> list[Segment]:
        """The pieces of a conversation in order: text, an ECG slot for each `<ecg>` of a user turn, answers.

        An answer is an assistant turn's words and the token that ends it. for_generation: stop where the last
        assistant turn's words begin (or, after a last user turn, where they would).
        """
        turns = list(conversation)
        if for_generation:
            turns = (
                [*turns[:-1], Turn("assistant", "")]
                if turns[-1].role == "assistant"
                else [*turns, Turn("assistant", "")]
            )
        pieces = []
        for number, (turn, frame) in enumerate(
            zip(turns, self._frame(tuple(turn.role for turn in turns)), strict=True)
        ):
            pieces.append(Segment(frame.before))
            if turn.role == "user":
                pieces += self._question(turn.text.strip())
                pieces.append(Segment(frame.after))
            elif not (for_generation and number == len(turns) - 1):
                answer = _ids(self.tokenizer, frame.lead + turn.text.strip(), literal=True)
                pieces += [Segment(answer + frame.end, answer=True), Segment(frame.after)]
        return [piece for piece in pieces if piece.ecg or piece.ids]

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of words that stand outside the template (an ECG told in words)."""
        return _ids(self.tokenizer, text, literal=True)

    def _question(self, text: str) -> Iterator[Segment]:
        for number, words in enumerate(text.split(MARKER)):
            if number:
                yield Segment(ecg=True)
            yield Segment(_ids(self.tokenizer, words, literal=True))

    def _frame(self, roles: tuple[str, ...]) -> list[_Frame]:
        """What the template writes around each turn's words, found by rendering turns whose words are stand-ins."""
        if roles not in self._frames:
            self._frames[roles] = list(self._take_apart(roles))
        return self._frames[roles]

    def _take_apart(self, roles: tuple[str, ...]) -> Iterator[_Frame]:
        turns = [{"role": role, "content": f"\ue000{number}\ue001"} for number, role in enumerate(roles)]
        written = ""
        for number, turn in enumerate(turns):
            answers = turn["role"] == "assistant"
            opening = self._render(turns[:number], prompt=True) if answers else written
            text = self._render(turns[: number + 1])
            lead, _, after = text.removeprefix(opening).partition(turn["content"])
            broken = not opening.startswith(written) or not text.startswith(opening) or turn["content"] not in text
            if broken or (answers and lead.strip()):
                raise ConfigError(
                    f"the chat template of {self.tokenizer.name_or_path} rewrites a conversation as it goes on "
                    f"(turn {number + 1}, {turn['role']}); set llm.chat: plain"
                )
            after_ids = _ids(self.tokenizer, after)
            if not answers:
                yield _Frame(before=_ids(self.tokenizer, lead), after=after_ids)
            else:
                end, rest = self._ending(after_ids)
                yield _Frame(_ids(self.tokenizer, opening.removeprefix(written)), lead, end, rest)
            written = text

    def _ending(self, after: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What follows an answer, split behind its first special token; the tokenizer's eos if there is none."""
        for number, id in enumerate(after):
            if id in self._special:
                return after[: number + 1], after[number + 1 :]
        if self.tokenizer.eos_token_id is None:
            raise ConfigError(
                f"the tokenizer of {self.tokenizer.name_or_path} has no token that ends an answer (eos_token)"
            )
        return (self.tokenizer.eos_token_id,), after

    def _render(self, turns: list[dict], prompt: bool = False) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                turns, chat_template=self.template, tokenize=False, add_generation_prompt=prompt, enable_thinking=False
            )
        except Exception as error:  # a template is a program of its own and may raise whatever it likes
            raise ConfigError(
                f"the chat template of {self.tokenizer.name_or_path} refuses the roles "
                f"{', '.join(turn['role'] for turn in turns)}: {error}; set llm.chat: plain"
            ) from error


@dataclass(frozen=True)
class _Frame:
    """Around one turn's words: ids before; text that leads an answer; ids that end it (learned); ids after."""

    before: tuple[int, ...]
    lead: str = ""
    end: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@lru_cache(maxsize=1 << 16)
def _ids(tokenizer: PreTrainedTokenizerBase, text: str, literal: bool = False) -> tuple[int, ...]:
    """Token ids of a text without added specials; literal: a special token's name in it is ordinary text."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=literal).input_ids) if text else ()
