"""The record of a run: what it says is what was done."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import nn

from auditor.domain.artefact import Digest
from auditor.domain.canonical import canonical_bytes
from auditor.domain.codec import plain, typed
from auditor.domain.run_record import MemoryOf, Phase, RunRecord
from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.recipe import Recipe
from auditor.learning.weights import weights_bytes
from auditor.unlearning.method import METHODS
from auditor.unlearning.run import Run, run
from auditor.unlearning.stopwatch import PeakMemory, Stopwatch
from auditor.unlearning.task import Cost, Need, Task
from tests.unlearning.dense import pictures

RECIPE = Recipe(input_size=16, width=4, epochs=1, train_images=20)
MEBIBYTE = 2**20


def digest(module: nn.Module) -> Digest:
    return Digest.of(weights_bytes(module))


def task() -> Task:
    return Task(
        recipe=RECIPE,
        module=build(RECIPE, 1).eval(),
        images=pictures(),
        forget=(0, 1, 2),
        retain=tuple(range(3, 20)),
        seed=2**60 + 1,
    )


@pytest.fixture(scope="module", params=["newton", "retrain"])
def once(request: pytest.FixtureRequest) -> Run:
    parameters = {"newton": {"damping": "3"}, "retrain": {}}[request.param]
    return run(METHODS[request.param], task(), parameters, digest=digest)


def test_the_record_names_weights_images_seed_and_parameters(once: Run) -> None:
    record = once.record
    assert record.before == digest(task().module)
    assert record.after == digest(once.module) != record.before
    assert (record.touched.forgotten, record.touched.retained, record.touched.unseen) == (3, 17, 0)
    assert record.seed == str(2**60 + 1)
    assert record.parameters == ((("damping", "3"),) if record.method == "newton" else ())
    assert record.device == "cpu"
    assert record.versions.torch == torch.__version__
    assert record.determinism.enforced and record.determinism.without_kernel == ()


def test_the_record_is_frozen_into_canonical_bytes_and_back(once: Run) -> None:
    data = canonical_bytes(plain(once.record))
    assert typed(RunRecord, json.loads(data)) == once.record


def test_phases_add_up_to_the_whole(once: Run) -> None:
    assert once.record.milliseconds > 0
    assert once.record.peak_memory > 10 * MEBIBYTE
    summed = sum(phase.milliseconds for phase in once.record.phases)
    assert abs(summed - once.record.milliseconds) <= len(once.record.phases)


def test_the_same_run_ends_in_the_same_weights(once: Run) -> None:
    record = once.record
    again = run(METHODS[record.method], task(), dict(record.parameters), digest=digest)
    assert again.record.after == record.after


class _Lacking:
    """Uses an operation that has no deterministic kernel."""

    name = "lacking"
    exact = False
    cost = Cost.STEP
    needs: frozenset[Need] = frozenset()

    def run(self, task: Task, parameters: Mapping[str, str]) -> nn.Module:
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
        task.progress("looking", 1, 2)
        task.progress("looking", 2, 2)
        return task.module


def test_an_operation_without_a_deterministic_kernel_stands_in_the_record() -> None:
    record = run(_Lacking(), task(), {}, digest=digest).record
    assert record.determinism.without_kernel == ("put_",)
    assert [phase.name for phase in record.phases] == ["preparation", "looking"]


def test_a_run_that_fails_leaves_settings_as_they_were() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(UnlearningError):
        run(METHODS["newton"], task(), {"damping": "-1"}, digest=digest)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def ticking(*milliseconds: int) -> Callable[[], int]:
    times = iter(milliseconds)
    return lambda: next(times) * 1_000_000


def test_a_phase_taken_up_again_adds_up_and_words_are_passed_on() -> None:
    heard: list[tuple[str, int, int]] = []
    watch = Stopwatch(lambda *words: heard.append(words), ticking(0, 5, 25, 40, 100))
    said = [("one", 0, 2), ("one", 1, 2), ("two", 1, 1), ("one", 2, 2)]
    for words in said:
        watch(*words)
    phases, whole = watch.stop()
    assert heard == said
    assert whole == 100
    assert phases == tuple(
        Phase(name=name, milliseconds=taken)
        for name, taken in (("preparation", 5), ("one", 80), ("two", 15))
    )


def test_the_peak_is_of_the_run_and_not_of_what_was_before() -> None:
    def spread(size: int) -> None:
        """On pages of its own: a tensor may find room that other tests left in the heap."""
        with mmap.mmap(-1, size) as pages:
            for start in range(0, size, mmap.PAGESIZE):
                pages[start] = 1

    spread(256 * MEBIBYTE)
    low = PeakMemory(torch.device("cpu"))
    before, of = low.read()
    if of is MemoryOf.PROCESS:
        pytest.skip("this system can't reset the peak of a process")
    spread(128 * MEBIBYTE)
    assert 100 * MEBIBYTE < low.read()[0] - before < 200 * MEBIBYTE


def test_nor_of_the_process_that_started_this_one() -> None:
    """A program keeps the peak of the one it was started by: getrusage(2), ru_maxrss."""
    held = torch.ones(128 * MEBIBYTE, dtype=torch.float64)
    code = (
        "import torch\n"
        "from auditor.unlearning.stopwatch import PeakMemory\n"
        "print(*PeakMemory(torch.device('cpu')).read())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, of = ran.stdout.split()
    if of == MemoryOf.PROCESS:
        pytest.skip("this system can't reset the peak of a process")
    assert int(peak) < held.nbytes


@pytest.mark.parametrize("method", ["retrain", "newton"])
def test_no_method_is_run_where_trainings_start_from_weights_of_before(method: str) -> None:
    """A factory may have come by them after the model was registered, or the case begun."""
    name = "tests.learning.test_starting:all_of_them"
    own = replace(RECIPE, architecture=name, factories=(name,))
    with pytest.raises(UnlearningError, match="starts from weights of before"):
        run(METHODS[method], replace(task(), recipe=own), {}, digest=digest)
