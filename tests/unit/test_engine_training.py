"""Networks: they learn, stop, resume exactly, are saved and loaded; LeNet-5 has the parameters it should have."""

import numpy as np
import pytest

from svertka.engine import layers as L
from svertka.engine import lenet
from svertka.engine.augment import random_affine
from svertka.engine.lenet import C3_TABLE, digit_codes
from svertka.engine.network import Network, Sequential
from svertka.engine.optim import SGD, Adam, Cosine, adamw, constant
from svertka.engine.training import Labelled, Recipe, evaluate, fit
from svertka.errors import ConfigError, DataError, NotFoundError, ShapeError, WeightsError
from svertka.schema import Advanced, EpochEnded, StepStarted


def bars(count, size=12, channels=1, seed=0):
    """Noise with a bright bar, upright (0) or lying (1)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.3, (count, channels, size, size)).astype(np.float32)
    labels = np.arange(count) % 2
    for image, label, place in zip(x, labels, rng.integers(1, size - 1, count), strict=True):
        image[:, :, place] += 1 - label
        image[:, place, :] += label
    return Labelled(x, labels)


def small(seed=0):
    rng = np.random.default_rng(seed)
    return Network(
        Sequential(
            L.Conv2d(1, 4, 3, rng, padding=1),
            L.BatchNorm2d(4),
            L.Activation("relu"),
            L.MaxPool2d(2),
            L.Dropout(0.2),
            L.Flatten(),
            L.Linear(144, 2, rng),
        )
    )


def test_parameter_counts_of_lenet5():
    assert sum(parameter.value.size for parameter in lenet.lenet5().parameters().values()) == 61_706
    network = lenet.lenet5_1998()
    counts = {name: parameter.value.size for name, parameter in network.parameters().items()}
    of_layers = [156, 12, 1516, 32, 48_120, 10_164]
    names = list(counts)
    assert [counts[a] + counts[b] for a, b in zip(names[::2], names[1::2], strict=True)] == of_layers
    assert sum(counts.values()) == 60_000


def test_the_1998_network_as_its_paper_describes_it():
    assert sum(len(row) for row in C3_TABLE) == 60
    assert [len(row) for row in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    targets = np.array(digit_codes())
    assert targets.shape == (10, 84)
    assert set(np.unique(targets)) == {-1, 1}
    assert len({row.tobytes() for row in targets}) == 10
    x = lenet.scale_1998(np.stack([np.zeros((28, 28)), np.ones((28, 28))]))
    assert x.shape == (2, 1, 32, 32)
    assert x[0].min() == x[0].max() == pytest.approx(-0.1)
    assert x[1].max() == pytest.approx(1.175)
    assert lenet.lenet5_1998()(x).shape == (2, 10)


def test_a_network_learns_and_tells_of_it():
    events = []
    network, train, val = small(), bars(120), bars(60, seed=1)
    history = fit(network, train, val, Recipe(epochs=12, batch=16, optimiser=Adam(rate=0.01)), on_event=events.append)
    assert [row.epoch for row in history] == list(range(1, 13))
    assert evaluate(network, val)[1] >= 0.95
    assert evaluate(network, val)[0] == pytest.approx(min(row.val_loss for row in history))
    assert events[0] == StepStarted("train", 1440)
    assert [event.done for event in events if isinstance(event, Advanced)][-1] == 1440
    assert sum(isinstance(event, EpochEnded) for event in events) == 12


def test_early_stop_keeps_the_best_epoch():
    network, val = small(), bars(40, seed=1)
    wrong = Labelled(val.x, 1 - val.labels)  # learning makes this worse from the start
    history = fit(network, bars(80), wrong, Recipe(epochs=30, batch=16, optimiser=Adam(rate=0.01), patience=2))
    assert len(history) < 30
    best = min(history, key=lambda row: row.val_loss)
    assert len(history) == best.epoch + 2
    assert evaluate(network, wrong)[0] == pytest.approx(best.val_loss)


@pytest.mark.parametrize("optimiser", [SGD(rate=0.02, momentum=0.9), adamw(0.005)], ids=["SGD", "AdamW"])
def test_resuming_gives_the_same_numbers_as_never_stopping(tmp_path, optimiser):
    def recipe(epochs):
        return Recipe(epochs=epochs, batch=16, optimiser=optimiser, augment=random_affine(), seed=3)

    class Stopped(Exception):
        pass

    def stop_in_the_third_epoch(event):
        if isinstance(event, Advanced) and event.done > 2 * 50 + 20:
            raise Stopped

    straight, resumed = small(), small()
    train, val, file = bars(50), bars(20, seed=1), tmp_path / "checkpoint.safetensors"
    whole = fit(straight, train, val, recipe(4))
    with pytest.raises(Stopped):
        fit(resumed, train, val, recipe(4), checkpoint=file, on_event=stop_in_the_third_epoch)
    resumed = small(seed=9)
    parts = fit(resumed, train, val, recipe(4), checkpoint=file)
    assert [row.train_loss for row in parts] == [row.train_loss for row in whole]
    assert [row.val_loss for row in parts] == [row.val_loss for row in whole]
    for name, array in straight.state().items():
        np.testing.assert_array_equal(resumed.state()[name], array, err_msg=name)


def test_saving_and_loading(tmp_path):
    network, other = small(), small(seed=1)
    network.save(tmp_path / "w.safetensors")
    x = bars(4).x
    assert not np.array_equal(other(x), network(x))
    other.load(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other(x), network(x))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    with pytest.raises(WeightsError, match=r"lack 11\.bias, 11\.weight"):
        lenet.lenet5().load(tmp_path / "w.safetensors")
    with pytest.raises(NotFoundError, match="none does not exist"):
        network.load(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"x" * 20)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        network.load(tmp_path / "bad")
    state = network.state() | {"0.bias": np.zeros(5)}
    with pytest.raises(WeightsError, match=r"0\.bias has shape \[5\] in the weights; expected \[4\]"):
        network.load_state(state)
    with pytest.raises(WeightsError, match=r"hold 99\.weight"):
        network.load_state(network.state() | {"99.weight": np.zeros(5)})


def torch_steps(optimiser, gradients):
    """The parameter's path under torch's optimiser."""
    import torch

    leaf = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    stepper = optimiser([leaf])
    path = []
    for gradient in gradients:
        leaf.grad = torch.tensor(gradient)
        stepper.step()
        path.append(leaf.detach().numpy().copy())
    return path


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(rate=0.1), ("SGD", {"lr": 0.1})),
        (SGD(rate=0.1, momentum=0.9), ("SGD", {"lr": 0.1, "momentum": 0.9})),
        (
            SGD(rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
            ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ),
        (Adam(rate=0.1, weight_decay=0.01), ("Adam", {"lr": 0.1, "weight_decay": 0.01})),
        (adamw(0.1, 0.05), ("AdamW", {"lr": 0.1, "weight_decay": 0.05})),
    ],
)
def test_optimisers_step_as_torchs_do(ours, theirs):
    import torch

    gradients = np.random.default_rng(0).normal(size=(6, 3))
    parameters = {"w": L.Parameter(np.zeros(3))}
    state = ours.begin(parameters)
    path = torch_steps(lambda leaves: getattr(torch.optim, theirs[0])(leaves, **theirs[1]), gradients)
    for gradient, expected in zip(gradients, path, strict=True):
        parameters["w"].gradient = gradient
        ours.step(parameters, state, 1.0)
        np.testing.assert_allclose(parameters["w"].value, expected, rtol=1e-10, atol=1e-12)


def test_schedules():
    assert constant(0.7) == 1
    cosine = Cosine(warm_up=0.2, floor=0.1)
    assert cosine(0) > 0
    assert cosine(0.1) == pytest.approx(0.5)
    assert [cosine(done) for done in (0.2, 0.6, 1.0)] == pytest.approx([1, 0.55, 0.1])


def test_batch_norm_remembers_and_dropout_rests():
    layer = L.BatchNorm2d(2, momentum=1.0)
    x = np.random.default_rng(0).normal(4, 3, (50, 2, 4, 4))
    layer.training = True
    y = layer.forward(x)
    layer.training = False
    np.testing.assert_allclose(layer.forward(x), y, rtol=2e-3, atol=2e-3)
    dropout = L.Dropout(0.5)
    assert dropout.forward(x) is x
    dropout.training, dropout.rng = True, np.random.default_rng(0)
    kept = dropout.forward(x) != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose(dropout.forward(np.ones(100_000)).mean(), 1, atol=0.02)


def test_random_affine_moves_a_little_and_can_do_nothing():
    x = bars(5).x
    same = random_affine(degrees=0, scale=0, shift_px=0)(x, np.random.default_rng(0))
    np.testing.assert_allclose(same, x, atol=1e-5)
    moved = random_affine()(x, np.random.default_rng(0))
    assert moved.shape == x.shape
    assert moved.dtype == np.float32
    assert abs(moved - x).mean() > 0.01
    assert moved.min() >= x.min() - 1e-6


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: Recipe(epochs=0), ConfigError, "epochs is 0; expected at least 1"),
        (lambda: Recipe(epochs=1, batch=0), ConfigError, "batch is 0"),
        (lambda: SGD(rate=-1), ConfigError, "rate is -1"),
        (lambda: SGD(rate=1, nesterov=True), ConfigError, "nesterov needs momentum"),
        (lambda: Adam(beta1=1.0), ConfigError, r"beta1 is 1\.0"),
        (lambda: Labelled(np.zeros((2, 1, 3, 3)), np.zeros(3, int)), DataError, "2 images and 3 labels"),
        (lambda: L.Activation("rellu"), ShapeError, "Did you mean relu"),
        (
            lambda: fit(small(), bars(20), bars(4), Recipe(epochs=3, optimiser=SGD(rate=1e30))),
            DataError,
            r"The loss is (nan|inf) in epoch .*lower rate",
        ),
        (
            lambda: fit(small(), bars(20), bars(4), Recipe(epochs=1, batch=20, optimiser=SGD(rate=1e30))),
            DataError,
            r"The loss is (nan|inf) in epoch 1 on the validation images; train with a lower rate than 1e\+30",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_errors_say_what_is_wrong(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    fit(small(), bars(10), bars(4), Recipe(epochs=1), checkpoint=file)
    with pytest.raises(WeightsError, match="no checkpoint of this network and optimiser"):
        fit(small(), bars(10), bars(4), Recipe(epochs=1, optimiser=SGD(rate=0.1, momentum=0.9)), checkpoint=file)
