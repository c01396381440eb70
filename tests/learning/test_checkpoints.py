import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lungscore.errors import InputError
from lungscore.learning.checkpoints import (
    load_checkpoint,
    load_weights,
    read_facts,
    save_checkpoint,
    save_weights,
)


def network(width: int = 3) -> nn.Module:
    """Two layers and a batch norm, which has buffers and an integer counter."""
    return nn.Sequential(nn.Conv2d(2, width, 3, bias=False), nn.BatchNorm2d(width))


def trained(
    steps: int = 2, layout: torch.memory_format = torch.contiguous_format
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and its optimiser after a few steps."""
    torch.manual_seed(0)
    net = network().to(memory_format=layout)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.rand(2, 2, 5, 5)).square().mean().backward()
        optimizer.step()
    return net, optimizer


def rejected(load) -> str:
    """The message with which ``load`` is refused."""
    with pytest.raises(InputError) as caught:
        load()
    assert caught.value.code == "checkpoint-mismatch"
    return caught.value.message


def test_weights_come_back_with_their_facts(tmp_path):
    net, _ = trained()
    save_weights(net, tmp_path / "w.safetensors", config={"name": "x"}, epoch=3)
    fresh = network()
    assert load_weights(fresh, tmp_path / "w.safetensors") == {"config": {"name": "x"}, "epoch": 3}
    for name, value in net.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    assert read_facts(tmp_path / "w.safetensors")["epoch"] == 3


def test_weights_are_as_readable_as_other_files(tmp_path):
    save_weights(network(), tmp_path / "w.safetensors")
    (tmp_path / "plain").write_text("x")
    modes = [(tmp_path / name).stat().st_mode for name in ("w.safetensors", "plain")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(tmp_path, layout):
    net, optimizer = trained(layout=layout)
    save_checkpoint(tmp_path / "c.safetensors", {"a": net}, {"a": optimizer}, epoch=1)
    fresh, resumed = trained(steps=0, layout=layout)
    assert load_checkpoint(tmp_path / "c.safetensors", {"a": fresh}, {"a": resumed}) == {"epoch": 1}
    x = torch.rand(2, 2, 5, 5)
    for n, o in ((net, optimizer), (fresh, resumed)):
        o.zero_grad()
        n(x).square().mean().backward()
        o.step()
    for name, value in net.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


def test_a_checkpoint_holds_several_networks_and_tells_them_apart(tmp_path):
    pairs = {"a": trained(1), "b": trained(3)}
    networks, optimizers = ({name: pair[i] for name, pair in pairs.items()} for i in range(2))
    save_checkpoint(tmp_path / "c.safetensors", networks, optimizers, history=[{"z": 1, "a": 2}])
    fresh = {name: trained(0) for name in pairs}
    loaded, resumed = ({name: pair[i] for name, pair in fresh.items()} for i in range(2))
    facts = load_checkpoint(tmp_path / "c.safetensors", loaded, resumed)
    assert list(facts["history"][0]) == ["z", "a"]  # columns of the log, in their order
    for name in pairs:
        assert torch.equal(loaded[name][0].weight, networks[name][0].weight)
        steps = [state["step"] for state in resumed[name].state.values()]
        assert steps == [{"a": 1, "b": 3}[name]] * 3
    lacking = ({"a": networks["a"]}, {"a": optimizers["a"]})
    assert "unknown" in rejected(lambda: load_checkpoint(tmp_path / "c.safetensors", *lacking))


def test_tensors_of_another_shape_are_named(tmp_path):
    save_weights(network(4), tmp_path / "w.safetensors")
    message = rejected(lambda: load_weights(network(3), tmp_path / "w.safetensors"))
    assert "of another shape" in message
    assert "w.safetensors" in message


def test_missing_and_unknown_tensors_are_counted_and_named(tmp_path):
    tensors = {k: v for k, v in network().state_dict().items() if k != "0.weight"}
    save_file({**tensors, "head.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    message = rejected(lambda: load_weights(network(), tmp_path / "w.safetensors"))
    assert "1 tensors missing ['0.weight']" in message
    assert "1 unknown ['head.weight']" in message


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    net = network()
    net[1].running_var[0] = float("nan")
    save_weights(net, tmp_path / "w.safetensors")
    assert "1.running_var" in rejected(lambda: load_weights(network(), tmp_path / "w.safetensors"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02}q\x00.", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert "not a readable safetensors" in rejected(lambda: load_weights(network(), path))


def test_a_truncated_checkpoint_is_refused(tmp_path):
    net, optimizer = trained()
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"a": net}, {"a": optimizer}, epoch=1)
    path.write_bytes(path.read_bytes()[:-7])
    assert "not a readable" in rejected(lambda: load_checkpoint(path, {"a": net}, {"a": optimizer}))


def test_weights_alone_are_no_checkpoint(tmp_path):
    net, optimizer = trained()
    save_weights(net, tmp_path / "w.safetensors")
    assert "missing" in rejected(
        lambda: load_checkpoint(tmp_path / "w.safetensors", {"a": net}, {"a": optimizer})
    )


def test_a_missing_file_is_named(tmp_path):
    assert "none.safetensors" in rejected(
        lambda: load_weights(network(), tmp_path / "none.safetensors")
    )
