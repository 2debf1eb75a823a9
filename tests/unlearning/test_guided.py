"""Newton steps towards what outsiders say: the solve against its dense twin, and where they end."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.learning.models import build
from auditor.learning.weights import weights_bytes
from auditor.unlearning.guided_steps import _wanted, centring_factors
from auditor.unlearning.guo2020newton import MOST_GUIDED, NewtonStep
from auditor.unlearning.layers import named
from auditor.unlearning.sampling import draw
from auditor.unlearning.task import Outsiders, Task
from tests.unlearning.dense import Dense, distance, moved, narrow_task
from tests.unlearning.test_newton_architectures import ARCHITECTURES, LOCAL
from tests.unlearning.ward import RECIPE, Ward, auc_of, margins

METHOD = NewtonStep()
DAMPING = 0.3


def log_odds(logits: Tensor, label: int) -> float:
    others = torch.cat([logits[:label], logits[label + 1 :]])
    return float(logits[label] - torch.logsumexp(others, 0))


def known(asked: Task) -> Task:
    """A task whose module knows its retained images: their labels are what it says of them."""
    *_, head = (layer for layer in asked.module.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        head.weight *= 10  # sure of what it says
        labels = asked.module(asked.images.images).argmax(1)
    labels[list(asked.forget)] = asked.images.labels[list(asked.forget)]
    said = {index: -1.0 - index for index in asked.forget}
    return replace(
        asked,
        images=replace(asked.images, labels=labels),
        outsiders=Outsiders(margins=said, sureness=0.5),
    )


def dense_guided(asked: Task, subset: int, names: Sequence[str] = ()) -> dict[str, Tensor]:
    """(A^T W A + lambda I)^-1 A^T W b, every matrix built."""
    net = Dense(asked, names)
    assert asked.outsiders is not None
    sample = draw(asked.retain, asked.images.labels, subset, asked.seed)
    own = [log_odds(net.logits(i), int(asked.images.labels[i])) for i in sample]
    surer = sum(own) / len(own) / asked.outsiders.sureness
    rows, rights, weights = [], [], []
    for index in (*sample, *asked.forget):
        flat = net.jacobian(index)
        classes = len(flat)
        centre = torch.eye(classes).double() - 1 / classes  # B B^T
        change = torch.zeros(classes).double()
        if index in asked.forget:
            label = int(asked.images.labels[index])
            now = log_odds(net.logits(index), label)
            change[label] = surer * asked.outsiders.margins[index] - now
        rows.append(centre @ flat)
        rights.append(centre @ change)
        weights += [1.0 if index in asked.forget else len(asked.retain) / len(sample)] * classes
    a, b, w = torch.cat(rows), torch.cat(rights), torch.tensor(weights).double()
    ranks = 1 if classes == 2 else classes
    damping = DAMPING * float(a.square().sum()) / (len(rows) * ranks)
    total = a.T @ (w[:, None] * a) + damping * torch.eye(a.shape[1]).double()
    step = torch.cholesky_solve((a.T @ (w * b))[:, None], torch.linalg.cholesky(total))[:, 0]
    return net.by_name(step)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_step_is_a_dense_solve(architecture: str, classes: int) -> None:
    asked = known(narrow_task(architecture, classes))
    texts = {"damping": repr(DAMPING), "guided": "1"}
    for subset, layers in ((512, ""), (6, ""), (512, LOCAL[architecture])):
        found = moved(
            asked.module, METHOD.run(asked, {**texts, "subset": str(subset), "layers": layers})
        )
        names = named(asked.module, layers.split()) if layers else ()
        assert not layers or set(found) == set(names)
        assert distance(found, dense_guided(asked, subset, names)) < 1e-6


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_what_is_added_to_all_logits_alike_counts_for_nothing(classes: int) -> None:
    factors = centring_factors(torch.randn(4, classes).double())
    product = factors @ factors.transpose(1, 2)
    assert torch.allclose(product, (torch.eye(classes) - 1 / classes).double())


@pytest.fixture(scope="module")
def guided(ward: Ward) -> Task:
    """Outsiders say what the net says that was trained without the forgotten."""
    task = ward.task
    said = margins(ward.retrained, task.images, task.forget).tolist()
    sureness = float(margins(task.module, task.images, task.retain).mean())
    return replace(
        task,
        outsiders=Outsiders(margins=dict(zip(task.forget, said, strict=True)), sureness=sureness),
    )


def test_steps_end_where_the_outsiders_say_and_leave_the_retained_alone(
    ward: Ward, guided: Task
) -> None:
    task = guided
    assert task.outsiders is not None
    wanted = torch.tensor([task.outsiders.margins[index] for index in task.forget]).double()
    before = weights_bytes(task.module)
    off = [float((margins(task.module, task.images, task.forget) - wanted).abs().mean())]
    for steps in (1, 2, 3):
        after = METHOD.run(task, {"damping": "0.01", "guided": str(steps)})
        off.append(float((margins(after, task.images, task.forget) - wanted).abs().mean()))
    assert off[1] < 0.6 * off[0] and off[3] < 0.15 * off[0]
    kept = margins(after, task.images, task.retain)
    shift = (kept - margins(task.module, task.images, task.retain)).abs()
    assert float(shift.median()) < off[0] / 10
    assert bool((kept > 0).all())
    assert (
        auc_of(after, task.images, ward.test) > auc_of(task.module, task.images, ward.test) - 0.05
    )
    assert weights_bytes(task.module) == before


@pytest.mark.parametrize("classes", [2, 3])
def test_a_surer_model_is_guided_to_surer_answers(classes: int) -> None:
    asked = known(narrow_task("small-resnet", classes))
    assert asked.outsiders is not None
    with torch.no_grad():
        own = asked.module(asked.images.images)
    labels = asked.images.labels
    images = (*asked.retain, *asked.forget)
    wanted = dict(zip(images, _wanted(asked, images), strict=True))
    assert all(torch.allclose(wanted[index], own[index]) for index in asked.retain)
    sureness = sum(log_odds(own[i], int(labels[i])) for i in asked.retain) / len(asked.retain)
    for index in asked.forget:
        label = int(labels[index])
        said = asked.outsiders.margins[index] * sureness / asked.outsiders.sureness
        assert log_odds(wanted[index], label) == pytest.approx(said)
        others = [place for place in range(classes) if place != label]
        assert torch.equal(wanted[index][others], own[index][others])


def test_what_run_makes_of_the_parameters_is_the_variant(guided: Task) -> None:
    found = [item for item in METHOD.variants(guided) if "guided" in item[0]]
    assert [parameters["guided"] for parameters, _ in found] == ["1", "2", "3"]
    assert len(found) == MOST_GUIDED
    for parameters, module in found:
        assert weights_bytes(METHOD.run(guided, parameters)) == weights_bytes(module)
    alone = replace(guided, outsiders=None)
    assert not [parameters for parameters, _ in METHOD.variants(alone) if "guided" in parameters]


def test_without_anybody_to_guide_there_is_no_guided_step(guided: Task) -> None:
    said = guided.outsiders
    assert said is not None
    some = {index: said.margins[index] for index in guided.forget[1:]}
    texts = {"damping": "0.01", "guided": "1"}
    for outsiders in (None, replace(said, margins=some), replace(said, sureness=-1.0)):
        with pytest.raises(UnlearningError, match="no scout models say"):
            METHOD.run(replace(guided, outsiders=outsiders), texts)
    nothing = build(RECIPE, 1)
    with torch.no_grad():
        for value in nothing.parameters():
            value.zero_()
    with pytest.raises(UnlearningError, match="doesn't know the images"):
        METHOD.run(replace(guided, module=nothing.eval()), texts)


@pytest.mark.parametrize(
    "parameters",
    [
        {"damping": "0.01", "guided": "-1"},
        {"damping": "0.01", "guided": "1.5"},
        {"rise": "2", "guided": "1"},
        {"guided": "1"},
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    guided: Task, parameters: Mapping[str, str]
) -> None:
    with pytest.raises(UnlearningError, match="newton"):
        METHOD.run(guided, parameters)


@pytest.mark.parametrize("part", ["forget", "retain"])
def test_of_nobody_forgotten_or_retained_there_is_no_step(guided: Task, part: str) -> None:
    with pytest.raises(UnlearningError, match="name some of each"):
        METHOD.run(replace(guided, **{part: ()}), {"damping": "0.01", "guided": "1"})  # type: ignore[arg-type]  # by name


def test_nan_is_refused(guided: Task) -> None:
    broken: nn.Module = copy.deepcopy(guided.module)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(UnlearningError, match="NaN"):
        METHOD.run(replace(guided, module=broken), {"damping": "0.01", "guided": "1"})
