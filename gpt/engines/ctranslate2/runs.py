"""One run of CTranslate2 over a fixed batch: what it is asked, and what is done with each token that it gives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from common.errors import ApiError
from common.machine.heap import give_memory_back
from gpt.engines.ctranslate2.answer import CTranslate2Answer

QUANTUM = 16  # tokens that every row of a run gets before it is stopped for others, at least
_LONGEST_QUANTUM = 64
_READING = 9  # how many tokens are read in the time that one is written, or so: longer texts are stopped less often
_NEAR = 64  # tokens by which rows of one batch may differ
_TIDY_STEPS = 16  # growing caches leave holes in the heap: given back now and then, at no measurable cost
_LOGITS_BYTES = 16 * 2**20  # CTranslate2 keeps the logits of every step it exposes: those runs are cut there
_log = logging.getLogger("frigo.gpt")


class Run:
    """`answers` beside each other, until they end or `over` (asked once a step) says that it is others' turn.

    `had_share` becomes true when every row has had its quantum: the run may then be stopped to be made anew with
    others, whose reading again costs what was read.
    """

    def __init__(self, answers: list[CTranslate2Answer]) -> None:
        self.answers = answers
        self.had_share = False
        self._since = {id(answer): len(answer.ids) for answer in answers}
        self._step = -1
        self._over = False

    @property
    def rows(self) -> list[CTranslate2Answer]:
        """The answers that go on."""
        return [answer for answer in self.answers if not answer.done]

    def takes(self, other: CTranslate2Answer) -> bool:
        """True when `other` may share a batch with these: sampled alike, and of about the same length."""
        return share(self.rows, other)

    def execute(self, generator: Any, vocabulary: int, over: Callable[[Run], bool]) -> None:
        """Run. An exception inside one row ends that one only."""
        for answer in self.answers:
            _guarded(partial(_begin, answer), answer)
        self.answers = self.rows
        if not self.answers:
            return
        if self.answers[0].draws_itself:
            self._draw(self.answers[0], generator, vocabulary, over)
            return
        steps = max(answer.room for answer in self.answers)
        options = _sampling_options(self.answers[0], vocabulary)

        def on_token(result: Any) -> bool:
            answer = self.answers[result.batch_id]
            if result.step != self._step:  # the rows stop together, so decide once a step
                self._step = result.step
                self._over = self._ask(over)
                if self._step % _TIDY_STEPS == _TIDY_STEPS - 1:
                    give_memory_back()
            return _guarded(lambda: _take(answer, result.token_id), answer) or self._over

        _generate(generator, self.answers, steps, on_token, **options)

    def _ask(self, over: Callable[[Run], bool]) -> bool:
        rows = self.rows
        quantum = max(QUANTUM, min(_LONGEST_QUANTUM, sum(len(answer.ids) for answer in rows) // _READING))
        self.had_share = all(len(answer.ids) - self._since[id(answer)] >= quantum for answer in rows)
        return over(self)

    def _draw(self, answer: CTranslate2Answer, generator: Any, vocabulary: int, over: Callable[[Run], bool]) -> None:
        """One answer whose tokens are chosen here, from the logits.

        CTranslate2 writes on from its cache, and gives the logits of every step. As long as its token is the one
        chosen here it goes on; when not, it is stopped and reads the text again with the token that was chosen. The
        choice is made from the logits that a mask inside the decoder would have seen: what comes out is the same.

        Measured on frigo-mini, whose diagrams are drawn under a grammar: it is stopped 2 to 3 times a diagram (the
        model was trained on the form), and a diagram takes a third of the time that it takes with transformers. A
        random 87M-parameter model under a JSON schema, which wants another token nearly always, is stopped 6 times in
        60 tokens: what the form forces is not asked of it. A decoder of our own beside CTranslate2 (`forward_batch`
        without a cache, or onnxruntime) would not pay.
        """
        import numpy as np  # here: who samples with CTranslate2 does without its 14 MB

        def step(result: Any) -> bool:
            if answer.done:
                return True
            if answer.forced:
                if answer.forced[0] == result.token_id:
                    answer.forced.popleft()
                    return False
                return True
            logits = np.array(result.logits, dtype=np.float32).reshape(-1)
            chosen = answer.feed(logits, result.token_id)
            return answer.done or chosen != result.token_id or self._ask(over)

        steps = max(1, _LOGITS_BYTES // (4 * vocabulary))
        options = {} if answer.request.seed is not None else _sampling_options(answer, vocabulary)
        while not answer.done and not self._ask(over):
            answer.forced.clear()
            _generate(
                generator,
                [answer],
                steps,
                lambda result: _guarded(lambda: step(result), answer),
                return_logits_vocab=True,
                **options,
            )
        answer.forced.clear()


def share(batch: list[CTranslate2Answer], other: CTranslate2Answer) -> bool:
    """True when `other` may run beside `batch`. Nobody runs beside one whose tokens are chosen from the logits."""
    if not batch:
        return True
    if batch[0].draws_itself or other.draws_itself or _sampling(batch[0]) != _sampling(other):
        return False
    lengths = [len(answer.ids) for answer in (*batch, other)]
    near = 0 if min(lengths) == 1 else _NEAR  # beside a row of one token, CTranslate2 gives out the others' prompts
    return max(lengths) - min(lengths) <= near


def _begin(answer: CTranslate2Answer) -> bool:
    answer.begin()
    return answer.done


def _take(answer: CTranslate2Answer, token: int) -> bool:
    if not answer.done:
        answer.go_on(token)
    return answer.done


def _generate(generator: Any, batch: list[CTranslate2Answer], steps: int, callback: Any, **options: Any) -> None:
    """One call of CTranslate2 over what `batch` has read and written so far."""
    generator.generate_batch(
        [[str(i) for i in answer.ids] for answer in batch],
        max_length=steps,
        end_token=[],  # the answers know themselves where they end
        include_prompt_in_result=False,
        callback=callback,
        **options,
    )


def _guarded(work: Callable[[], bool], answer: CTranslate2Answer) -> bool:
    """`work`, whose failure ends `answer` and no other row."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  it belongs to this answer's reader
        if not isinstance(error, ApiError):
            _log.error("generation failed", exc_info=error)
        answer.fail(error)
        return True


def _sampling_options(answer: CTranslate2Answer, vocabulary: int) -> dict[str, Any]:
    """CTranslate2's names for how `answer` is sampled; it takes no `top_k` over the vocabulary's size."""
    request = answer.request
    if request.greedy:
        return {}
    return {
        "sampling_topk": request.top_k if request.top_k <= vocabulary else 0,
        "sampling_topp": max(request.top_p, 1e-6),
        "sampling_temperature": request.temperature,
    }


def _sampling(answer: CTranslate2Answer) -> tuple[float, float, int] | None:
    request = answer.request
    return None if request.greedy else (request.temperature, request.top_p, request.top_k)
