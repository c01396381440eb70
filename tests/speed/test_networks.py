"""Networks taking turns on the same slices."""

import numpy as np
import pytest
import torch

networks = pytest.importorskip("networks", reason="needs monai and torch")


def test_networks_take_turns_after_one_pass_that_does_not_count() -> None:
    order: list[str] = []
    passes = [lambda name=name: order.append(name) for name in "ABC"]
    seconds = networks.taking_turns(passes, slices=4, repeats=2)
    assert "".join(order) == "ABC" * 3
    assert seconds.shape == (3, 2)
    assert (seconds > 0).all()


@pytest.mark.slow
def test_a_line_holds_every_network_on_the_same_number_of_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "make_phantom", lambda *_, shape, **__: _blank(shape))
    threads = torch.get_num_threads()
    try:
        line = networks.measure(threads=1, count=1, repeats=1, side=32)
    finally:
        torch.set_num_threads(threads)
    rows = {(row["key"], row["engine"], row["precision"]): row for row in line["networks"]}
    assert next(iter(rows)) == ("shipped", "openvino", "f32")
    assert {
        ("shipped", "torch eager", "f32"),
        ("u-net", "torch eager", "f32"),
        ("res2net-50", "torch eager", "f32"),
    } <= rows.keys()
    assert rows["u-net", "torch eager", "f32"]["parameters"] == pytest.approx(31e6, rel=0.01)
    for key, size in (("u-net", (256, 256)), ("res2net-50", (352, 352)), ("shipped", (256, 320))):
        row = rows[key, "torch eager", "f32"]
        assert (row["height"], row["width"]) == size
    assert all(len(row["seconds_per_slice"]) == 1 for row in line["networks"])
    assert (line["threads"], line["slices"], line["repeats"]) == (1, 1, 1)
    assert {"torch", "openvino"} <= line["versions"].keys()


def _blank(shape: tuple[int, int, int]) -> object:
    from types import SimpleNamespace

    return SimpleNamespace(scan=SimpleNamespace(values=np.zeros(shape, np.int16)))
