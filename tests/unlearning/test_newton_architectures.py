"""The Newton step on every architecture against its dense twin, and what it keeps in memory."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from auditor.errors import UnlearningError
from auditor.learning.models import GreyNetwork
from auditor.unlearning.curvature import Rows
from auditor.unlearning.kept_curvature import Curvature
from auditor.unlearning.layers import named, units
from auditor.unlearning.method import METHODS
from auditor.unlearning.passes import SOFTMAX, Passes
from auditor.unlearning.task import Task
from tests.unlearning.dense import (
    dense_step,
    distance,
    lively,
    moved,
    narrow,
    narrow_densenet121,
    narrow_task,
    task_of,
)

ARCHITECTURES = ("small-resnet", "resnet18", "resnet50", "densenet121", "vit_b_16")
LOCAL = {
    "small-resnet": "stage3 norm",
    "resnet18": "network.layer1 network.bn1 network.fc.bias",
    "resnet50": "network.layer2 network.layer4.0.bn3",
    "densenet121": "network.features.denseblock2 network.features.norm5",
    "vit_b_16": "network.class_token network.encoder.layers network.conv_proj.bias",
}


def step(asked: Task, **parameters: str) -> dict[str, Tensor]:
    return moved(asked.module, METHODS["newton"].run(asked, parameters))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_step_is_a_dense_solve(architecture: str, classes: int) -> None:
    asked = narrow_task(architecture, classes)
    assert distance(step(asked, damping="0.05"), dense_step(asked, 0.05)) < 1e-6


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_step_on_chosen_layers_is_a_dense_solve_on_them(
    architecture: str, classes: int
) -> None:
    asked = narrow_task(architecture, classes)
    names = named(asked.module, LOCAL[architecture].split())
    found = step(asked, damping="0.05", layers=LOCAL[architecture])
    assert set(found) == set(names)
    assert distance(found, dense_step(asked, 0.05, names)) < 1e-6


def test_attention_and_batch_norm_are_among_what_was_compared() -> None:
    kinds = {
        type(layer).__name__
        for architecture in ARCHITECTURES
        for layer in narrow(architecture, 2).modules()
    }
    assert {"MultiheadAttention", "LayerNorm", "BatchNorm2d", "GroupNorm", "Conv2d"} <= kinds


def test_checkpointed_layers_are_run_anew_without_being_caught_twice() -> None:
    plain, lean = (lively(GreyNetwork(narrow_densenet121(2, efficient))) for efficient in (0, 1))
    lean.load_state_dict(plain.state_dict())
    one, other = (step(task_of(module, 2, size=33), damping="1") for module in (plain, lean))
    assert distance(other, one) < 1e-12


class Odd(nn.Module):
    """Layers that have no formula here: grouped, padded by name, a slope for negative values."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(1, 4, 3, padding="same")
        self.depthwise = nn.Conv2d(4, 8, 3, 2, groups=4)
        self.mirrored = nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect", bias=False)
        self.slope = nn.PReLU(4)
        self.norm = nn.LayerNorm((4, 7, 7))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(torch.tanh(self.grouped(x)))
        x = self.norm(self.slope(self.mirrored(x)))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def test_other_single_layers_go_image_by_image() -> None:
    asked = task_of(lively(Odd()), 2)
    assert distance(step(asked, damping="0.05"), dense_step(asked, 0.05)) < 1e-6


class Unused(nn.Module):
    """A layer that runs in training only, as torchvision's auxiliary heads do."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Linear(256, 2)
        self.head = nn.Linear(256, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.flatten(1))
        return logits + self.aside(x.flatten(1)) if self.training else logits


def test_a_layer_that_has_no_part_in_the_logits_stays() -> None:
    assert {name.partition(".")[0] for name in step(task_of(lively(Unused()), 2), damping="1")} == {
        "head"
    }


class Scaled(Unused):
    """With a parameter that belongs to no layer and isn't broadcast over images."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale.sum()


class Functional(Unused):
    """Its layer is never called."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.flatten(1), self.head.weight, self.head.bias)


class Twice(Unused):
    """Its layer is called twice."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + super().forward(2 * x)


class Batched(Unused):
    """Normalises by the batch at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x))


class Masked(nn.Module):
    """Attention between different things."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, 0]
        mixed = self.attention(x, x.flip(1), x, need_weights=False)[0]
        logits: Tensor = self.head(mixed.mean(1))
        return logits


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Scaled((2, 1)), "parameter scale belongs to no layer"),
        (Scaled((1, 2)), "parameter scale acts in a way"),
        (Functional(), "parameter head.weight acts in a way"),
        (Twice(), "layer head is used twice"),
        (Batched(), "layer norm normalises by the batch"),
        (Masked(), "attention attention has masks or several inputs"),
    ],
)
def test_what_it_cant_take_apart_by_image_is_named_and_refused(
    module: nn.Module, message: str
) -> None:
    with pytest.raises(UnlearningError, match=f"{message}.*naming layers"):
        step(task_of(module.double().eval(), 2), damping="1")


class Doubled(torch.autograd.Function):
    """Knows its way back only."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(_ctx: Any, *signal: Any) -> Any:
        return 2 * signal[0]


class OneWay(Unused):
    """With an operation that has no forward-mode derivative behind its layer."""

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, Doubled.apply(super().forward(x)))


def test_an_operation_without_a_forward_mode_derivative_is_refused() -> None:
    with pytest.raises(UnlearningError, match="choose another method"):
        step(task_of(lively(OneWay()), 2), damping="1")


class Peak(TorchDispatchMode):
    """Counts the bytes of tensors alive at once among those made inside."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for item in tree_leaves(result):
            if isinstance(item, Tensor) and id(item.untyped_storage()) not in self.seen:
                self._follow(item.untyped_storage())
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self.seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def rows_in(asked: Task, memory: int, sample: Sequence[int] | None = None) -> Rows:
    names = named(asked.module, ())
    passes = Passes(
        asked.module, names, asked.images, precision="float64", memory=memory, loss=SOFTMAX
    )
    of_all = units(passes.module, names)
    return Rows(passes, passes, of_all, sample or asked.retain, memory=memory)


@pytest.mark.parametrize("architecture", ["resnet18", "vit_b_16"])
def test_blocks_of_one_of_three_and_of_all_images_give_the_same_step(architecture: str) -> None:
    asked = narrow_task(architecture, 3)
    whole = rows_in(asked, 2**30)
    one = 2**30 // whole.passes.block
    assert whole.passes.block >= 10 and len(whole.groups) == 1
    gram = whole.gram()
    for images in (1, 3):
        rows = rows_in(asked, int(one * (images + 0.5)))
        assert rows.passes.block == images and len(rows.groups) > 1
        assert torch.allclose(rows.gram(), gram, rtol=1e-10, atol=1e-12 * float(gram.max()))
    expected = step(asked, damping="0.05")
    for memory in ("0.000001", "0.001"):
        assert distance(step(asked, damping="0.05", memory=memory), expected) < 1e-9


def test_live_memory_is_bounded_whatever_the_number_of_images() -> None:
    asked = task_of(narrow("resnet18", 2), 2, count=62, size=33)

    def most(memory: int, images: int) -> int:
        rows = rows_in(asked, memory, asked.retain[:images])
        with Peak() as counted:
            rows.gram()
        return counted.most

    bounded, free = ([most(memory, images) for images in (15, 60)] for memory in (2**19, 2**30))
    assert bounded[1] < 1.3 * bounded[0] < free[0] and free[1] > 3 * free[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's, about how torch is used there
def test_h_times_a_vector_is_what_curvlinops_says() -> None:
    from curvlinops import GGNLinearOperator

    for architecture, classes in (("resnet50", 2), ("densenet121", 3)):
        asked = narrow_task(architecture, classes)
        rows = rows_in(asked, 2**30)
        random = torch.Generator().manual_seed(1)
        vector = {
            name: torch.randn(value.shape, generator=random, dtype=value.dtype)
            for name, value in rows.passes.values.items()
        }
        curvature = Curvature.of_rows(rows)
        along = curvature.product(rows.exact, vector)
        found = curvature.transpose_product(rows.exact, along)
        sample = torch.tensor(asked.retain)
        operator = GGNLinearOperator(
            rows.passes.module,
            nn.CrossEntropyLoss(reduction="sum"),
            list(rows.passes.values.values()),
            [(asked.images.images[sample], asked.images.labels[sample])],
        )
        expected = operator @ torch.cat([value.flatten() for value in vector.values()])
        got = torch.cat([found[name].flatten() for name in vector])
        assert torch.allclose(got, expected, rtol=1e-8, atol=1e-8 * float(expected.norm()))


@pytest.mark.parametrize(("precision", "off"), [("float32", 1e-3), ("bfloat16", 0.3)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fewer_bits_give_nearly_the_same_step_and_the_same_bits_again(
    architecture: str, precision: str, off: float
) -> None:
    asked = narrow_task(architecture, 2)
    found = step(asked, damping="3", precision=precision)
    assert distance(found, step(asked, damping="3")) < off
    again = step(asked, damping="3", precision=precision)
    assert all(torch.equal(found[name], again[name]) for name in found)
