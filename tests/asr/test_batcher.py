"""Chunks of several recordings share a model: fairly, in full batches, and only a little ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from asr.engines.base import Chunk, Heard, Task
from asr.engines.batcher import Batcher
from common.errors import ApiError
from common.messages import _

FRENCH, ENGLISH = Task("fr"), Task("en")


def chunks(name: int, lengths: Sequence[float]) -> list[Chunk]:
    """Chunks that tell whose they are by their times: the recording `name` begins at that many thousand seconds."""
    return [Chunk(1000.0 * name + number, np.zeros(round(s * 16_000), np.float32)) for number, s in enumerate(lengths)]


def owner(chunk: Chunk) -> int:
    return int(chunk.start // 1000)


class Model:
    """Decodes nothing, when it is allowed to; remembers each batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Chunk], Task]] = []
        self.at_work = 0
        self.most_at_work = 0
        self._gate = threading.Semaphore(0)
        self._changed = threading.Condition()
        self.fail: Callable[[Sequence[Chunk]], None] = lambda batch: None

    def __call__(self, batch: Sequence[Chunk], task: Task) -> list[Heard]:
        with self._changed:
            self.batches.append((list(batch), task))
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            self._changed.notify_all()
        try:
            assert self._gate.acquire(timeout=60)
            self.fail(batch)
            return [Heard(chunk, []) for chunk in batch]
        finally:
            with self._changed:
                self.at_work -= 1

    def go(self, batches: int = 10_000) -> None:
        """Let it decode so many batches."""
        self._gate.release(batches)

    def started(self, batches: int) -> None:
        """Wait until it has begun so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.batches) >= batches, 60), len(self.batches)

    def owners(self) -> list[list[int]]:
        return [[owner(chunk) for chunk in batch] for batch, _task in self.batches]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def waiting(batcher: Batcher, requests: int, each: int = 1) -> None:
    """Wait until so many recordings have `each` chunks waiting."""
    done = threading.Event()
    for _attempt in range(4000):
        if sum(len(request.waiting) >= each for request in batcher._turns) >= requests:
            return
        done.wait(0.005)
    raise AssertionError("no such requests")


def run(batcher: Batcher, given: Sequence[Chunk], task: Task = FRENCH) -> list[Chunk]:
    return [heard.chunk for heard in batcher.transcribe(given, task)]


def test_one_recording_comes_back_in_order_and_fills_the_batches(model: Model) -> None:
    model.go()
    batcher = Batcher(model, batch_seconds=40.0)
    given = chunks(1, [10.0] * 21)
    assert run(batcher, given) == given
    assert [len(batch) for batch, _task in model.batches].count(4) >= 4
    assert max(len(batch) for batch, _task in model.batches) == 4
    batcher.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_batch_never_costs_more_than_it_may_padding_included(model: Model, seed: int) -> None:
    chance = np.random.default_rng(seed)
    model.go()
    batcher = Batcher(model, batch_seconds=60.0, batch_count=7)
    given = chunks(1, list(chance.uniform(0.5, 40.0, 60)))
    assert run(batcher, given) == given
    for batch, _task in model.batches:
        assert max(chunk.seconds for chunk in batch) * len(batch) <= 60.0
        assert len(batch) <= 7
    assert len(model.batches) < 50
    batcher.close()


def test_a_chunk_longer_than_a_batch_goes_alone(model: Model) -> None:
    model.go()
    batcher = Batcher(model, batch_seconds=5.0)
    given = chunks(1, [30.0, 2.0, 2.0])
    assert run(batcher, given) == given
    batcher.close()


def test_similar_lengths_go_together(model: Model) -> None:
    batcher = Batcher(model, batch_seconds=80.0)
    given = chunks(1, [38.0, 5.0, 39.0, 4.0, 38.5, 5.5, 39.5, 4.5])
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, batcher, given)
        model.started(1)
        model.go()
        assert done.result(20) == given
    for batch, _task in model.batches:
        lengths = [chunk.seconds for chunk in batch]
        assert max(lengths) - min(lengths) < 2.0
    batcher.close()


def test_two_meetings_share_every_batch(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=40.0)
    first = pool.submit(run, batcher, chunks(1, [10.0] * 24))
    model.started(1)
    second = pool.submit(run, batcher, chunks(2, [10.0] * 24))
    for number in range(2, 8):
        waiting(batcher, 2, each=4)
        model.go(1)
        model.started(number)
    assert all(owners.count(1) == owners.count(2) == 2 for owners in model.owners()[1:])
    model.go()
    assert len(first.result(20)) == len(second.result(20)) == 24
    batcher.close()


def test_a_dictation_passes_between_the_chunks_of_a_long_meeting(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=40.0)
    meeting = pool.submit(run, batcher, chunks(1, [38.0] * 50))
    model.started(1)
    dictation = pool.submit(run, batcher, chunks(2, [9.0]))
    waiting(batcher, 2)
    model.go(2)
    assert len(dictation.result(20)) == 1
    model.started(3)
    assert model.owners()[:3] == [[1], [2], [1]]
    model.go()
    assert len(meeting.result(20)) == 50
    batcher.close()


def test_a_stream_of_dictations_does_not_stop_a_meeting(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=40.0)
    meeting = pool.submit(run, batcher, chunks(1, [38.0] * 12))
    model.started(1)
    for number in range(6):
        pool.submit(run, batcher, chunks(2 + number, [39.0]), ENGLISH if number % 2 else FRENCH)
        waiting(batcher, 2)
        model.go(1)
        model.started(2 * number + 2)
        model.go(1)
        model.started(2 * number + 3)
    assert model.owners() == [[1], [2], [1], [3], [1], [4], [1], [5], [1], [6], [1], [7], [1]]
    model.go()
    assert len(meeting.result(20)) == 12
    batcher.close()


def test_many_dictations_at_once_all_have_their_turn_before_the_meeting_has_two(
    model: Model, pool: ThreadPoolExecutor
) -> None:
    batcher = Batcher(model, batch_seconds=40.0)
    meeting = pool.submit(run, batcher, chunks(1, [38.0] * 10))
    model.started(1)
    others = [pool.submit(run, batcher, chunks(2 + number, [39.0])) for number in range(8)]
    waiting(batcher, 9)
    model.go()
    for other in (meeting, *others):
        other.result(20)
    assert sorted(model.owners()[1:10]) == [[number] for number in range(1, 10)]
    batcher.close()


def test_different_tasks_never_share_a_batch_and_take_turns(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=40.0)
    first = pool.submit(run, batcher, chunks(1, [10.0] * 24), FRENCH)
    model.started(1)
    second = pool.submit(run, batcher, chunks(2, [10.0] * 24), ENGLISH)
    for number in range(2, 8):
        waiting(batcher, 2, each=4)
        model.go(1)
        model.started(number)
    assert model.owners()[1:] == [[2] * 4, [1] * 4] * 3
    model.go()
    first.result(20)
    second.result(20)
    assert all(len(set(owners)) == 1 for owners in model.owners())
    batcher.close()


def test_a_recording_is_read_only_a_little_ahead(model: Model) -> None:
    read: list[int] = []

    def source() -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks(1, [10.0] * 500)):
            read.append(number)
            yield chunk

    model.go()
    batcher = Batcher(model, batch_seconds=40.0)
    heard = batcher.transcribe(source(), FRENCH)
    for count in range(1, 20):
        next(heard)
        assert len(read) <= count + 13
    heard.close()  # type: ignore[attr-defined]
    batcher.close()


def test_the_sound_kept_ahead_is_bounded_however_large_the_batches(model: Model) -> None:
    read: list[float] = []

    def source() -> Iterator[Chunk]:
        for chunk in chunks(1, [30.0] * 200):
            read.append(chunk.seconds)
            yield chunk

    model.go()
    batcher = Batcher(model, batch_seconds=800.0)
    heard = batcher.transcribe(source(), FRENCH)
    next(heard)
    assert sum(read) <= 960.0
    heard.close()  # type: ignore[attr-defined]
    batcher.close()


def test_leaving_gives_up_the_chunks_that_wait(model: Model) -> None:
    batcher = Batcher(model, batch_seconds=10.0)
    model.go(1)
    heard = batcher.transcribe(chunks(1, [10.0] * 50), FRENCH)
    next(heard)
    model.started(2)
    heard.close()  # type: ignore[attr-defined]
    model.go()
    assert run(batcher, other := chunks(2, [10.0])) == other
    assert model.owners()[-1] == [2]
    assert sum(batch == [1] for batch in model.owners()) <= 3
    assert batcher._turns == []
    batcher.close()


def test_a_failure_reaches_only_the_recordings_of_its_batch(model: Model, pool: ThreadPoolExecutor) -> None:
    def fail(batch: Sequence[Chunk]) -> None:
        if any(owner(chunk) == 1 for chunk in batch):
            raise ApiError(500, "engine_failed", _("Panne."))

    model.fail = fail
    batcher = Batcher(model, batch_seconds=10.0)
    bad = pool.submit(run, batcher, chunks(1, [10.0] * 5))
    model.started(1)
    good = pool.submit(run, batcher, chunks(2, [10.0] * 5))
    waiting(batcher, 2)
    model.go()
    with pytest.raises(ApiError, match="engine_failed"):
        bad.result(20)
    assert len(good.result(20)) == 5
    batcher.close()


def test_a_batch_too_big_for_the_memory_is_decoded_by_halves_and_the_next_are_smaller(model: Model) -> None:
    def fail(batch: Sequence[Chunk]) -> None:
        if sum(chunk.seconds for chunk in batch) > 25:
            raise ApiError(507, "out_of_memory", _("La mémoire a manqué."))

    model.fail = fail
    model.go()
    batcher = Batcher(model, batch_seconds=80.0)
    given = chunks(1, [10.0] * 30)
    assert run(batcher, given) == given
    assert max(len(batch) for batch, _task in model.batches[-5:]) == 2
    batcher.close()


def test_one_chunk_too_big_for_the_memory_is_an_error(model: Model) -> None:
    def fail(batch: Sequence[Chunk]) -> None:
        raise ApiError(507, "out_of_memory", _("La mémoire a manqué."))

    model.fail = fail
    model.go()
    batcher = Batcher(model, batch_seconds=80.0)
    with pytest.raises(ApiError, match="out_of_memory"):
        run(batcher, chunks(1, [10.0] * 3))
    batcher.close()


def test_closing_refuses_what_waits_and_what_comes(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=10.0)
    under_way = pool.submit(run, batcher, chunks(1, [10.0] * 5))
    model.started(1)
    batcher.refuse()
    model.go()
    with pytest.raises(ApiError, match="service_stopping"):
        under_way.result(20)
    with pytest.raises(ApiError, match="service_stopping"):
        run(batcher, chunks(2, [10.0]))
    batcher.close()


def test_several_lanes_work_at_once(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_count=1, lanes=3)
    given = chunks(1, [1.0] * 9)
    done = pool.submit(run, batcher, given)
    model.started(3)
    assert model.most_at_work == 3
    model.go()
    assert done.result(20) == given
    assert model.most_at_work == 3
    batcher.close()


def test_a_second_batch_is_at_hand_only_when_batches_are_quick(model: Model, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher(model, batch_seconds=10.0, ahead=True)
    done = pool.submit(run, batcher, chunks(1, [10.0] * 12))
    model.started(1)
    waiting(batcher, 1)
    assert model.at_work == 1
    model.go(1)  # it took no time: the next two are handed over together
    model.started(3)
    model.go()
    assert len(done.result(20)) == 12
    assert model.most_at_work == 2
    batcher.close()
