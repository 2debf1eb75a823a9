"""Newton steps towards what models say that weren't shown the forgotten patients.

A network that has learned its images to a loss of next to nothing has next to no gradient there,
of the forgotten images and of the retained ones alike: a step away from the forgotten has nowhere
to go, and no curvature holds the retained in place. So here the loss is not the recipe's. It is how
far the outputs lie from where they should be,

    1/2 sum over R of w |B^T (z - z0)|^2 + 1/2 sum over F of |B^T (z - t)|^2

with z0 the logits of the model in service, w = retained / m, and t those of F with each label's log
odds moved to what outsiders give it. B takes away what is added to all logits alike. Its damped
Gauss-Newton step (Levenberg 1944, Marquardt 1963) is

    delta = A^T (A A^T + lambda W^-1)^-1 b

with A the outputs' Jacobian by B, image by image, and b what each output has to move. Unlike steps
along the gradient of F repeated, these can be repeated: they end where the outputs are right.
Linearised outputs, and steps that leave the retained ones in place, are those of Golatkar, Achille
and Soatto 2020, "Forgetting Outside the Box"; there a kernel foretells where the outputs of F will
lie. For networks at the end of their training it couldn't in trials: their kernel had learned F.

What is left of the patients in inner layers is for the laboratory to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from auditor.errors import UnlearningError
from auditor.unlearning.fine_tuning import logits_of
from auditor.unlearning.kept_curvature import Curvature
from auditor.unlearning.newton_steps import Passing, chosen_layers, solved, stepped
from auditor.unlearning.passes import SOFTMAX, steady
from auditor.unlearning.sampling import draw
from auditor.unlearning.task import Outsiders, Task


def centring_factors(logits: Tensor) -> Tensor:
    """B (n, classes, r), the same for every image: B B^T takes away the mean over classes.

    Two classes need one column, (-1, 1) over the root of 2; in general B = I - 1/C is its own
    square.
    """
    count, classes = logits.shape
    if classes == 2:
        column = torch.tensor([[-1.0], [1.0]]).to(logits) / 2**0.5
        return column.expand(count, 2, 1)
    return (torch.eye(classes) - 1 / classes).to(logits).expand(count, classes, classes)


OUTPUTS = replace(SOFTMAX, factors=centring_factors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuidedSteps:
    """Steps of one damping, each from where the one before ended.

    Attributes:
        damping: lambda, in means of the diagonal of A A^T.
        subset, layers, precision, memory: as those of `newton_steps.Steps`.
    """

    task: Task
    damping: float
    subset: int
    layers: Sequence[str]
    precision: str
    memory: float | None

    def walk(self, steps: int) -> Iterator[nn.Module]:
        """The module after each step.

        Raises:
            UnlearningError: nobody says what the forgotten images are to look like, or weights
                became NaN or infinite.
        """
        task = self.task
        how = Passing(
            task=task,
            layers=chosen_layers(task, self.layers, self.precision, self.memory),
            precision=self.precision,
            memory=self.memory,
            loss=OUTPUTS,
        )
        sample = draw(task.retain, task.images.labels, self.subset, task.seed)
        images = (*sample, *task.forget)
        wanted = _wanted(task, images)
        share = torch.ones(len(images)).double()
        share[: len(sample)] = len(task.retain) / len(sample)
        for number in range(steps):
            task.progress("step", number, steps)
            module = self._step(how, images, wanted, share)
            task.progress("step", number + 1, steps)
            yield module
            how = replace(how, task=replace(task, module=module))

    def _step(
        self, how: Passing, images: Sequence[int], wanted: Tensor, share: Tensor
    ) -> nn.Module:
        def tell(done: int, total: int) -> None:
            self.task.progress("curvature", done, total)

        with steady(how.device):
            passes = how.exact()
            curvature = Curvature.of_rows(how.rows(passes, images), tell)
            missing = wanted.to(how.device) - passes.logits(images)
            right = torch.einsum("ncr,nc->rn", curvature.factors, missing)
            damping = self.damping * curvature.gram.diagonal().mean() / share.to(how.device)
            dual = solved(curvature.gram, damping.repeat(len(right)), right.flatten())
            return stepped(how.task, curvature.transpose_product(passes, dual))


def _wanted(task: Task, images: Sequence[int]) -> Tensor:
    """Logits to reach, (n, classes): the module's own, but for the labels of the forgotten."""
    outsiders = _outsiders_of(task)
    index = torch.tensor(images)
    wanted, labels = logits_of(task, task.module, index).double(), task.images.labels[index].cpu()
    margins = _margins(wanted, labels)
    kept = len(images) - len(task.forget)
    surer = float(margins[:kept].mean()) / outsiders.sureness
    if not surer > 0:
        raise UnlearningError(
            "newton: the model doesn't know the images it was trained on; guided steps need one "
            "that does"
        )
    said = torch.tensor([outsiders.margins[place] for place in task.forget]).double()
    places = torch.arange(kept, len(images))
    wanted[places, labels[kept:]] += surer * said - margins[kept:]
    return wanted


def _outsiders_of(task: Task) -> Outsiders:
    """The task's, where they speak of every forgotten image.

    Raises:
        UnlearningError: there are none, or of some of the images they say nothing.
    """
    found = task.outsiders
    if found is None or not set(task.forget) <= set(found.margins) or found.sureness <= 0:
        raise UnlearningError(
            "newton: no scout models say what the forgotten images look like to a model that never "
            "saw them; leave `guided` away"
        )
    return found


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Log odds of the labels, (n,)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - torch.logsumexp(others, 1)
