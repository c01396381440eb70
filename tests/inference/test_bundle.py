import json
import shutil

import pytest

from lungscore.errors import ResourceError
from lungscore.inference import Bundle, list_bundles, load_bundle
from lungscore.inference import bundle as module
from lungscore.inference.bundle import CARD, GRAPH, WEIGHTS, sha256
from lungscore.inference.engines import load_network
from tests.inference.random_bundle import LESIONS_CARD, write_card


@pytest.fixture
def light(tmp_path):
    """A bundle whose files are only as good as their checksums."""
    folder = tmp_path / "light"
    folder.mkdir()
    (folder / GRAPH).write_bytes(b"graph" * 50)
    (folder / WEIGHTS).write_bytes(b"weights" * 50)
    write_card(folder)
    return folder


def rejected(folder, code: str) -> str:
    """The message with which ``folder`` is refused."""
    with pytest.raises(ResourceError) as caught:
        load_bundle(folder)
    assert caught.value.code == code
    assert caught.value.exit_code == 4
    assert str(folder.parent) not in caught.value.message
    return caught.value.message


def change_card(folder, **changes) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def test_a_bundle_says_which_model_was_used(light):
    used = load_bundle(light).used
    assert (used.name, used.version, used.data_terms) == ("random", "0", "none")
    assert used.sha256 == sha256(light / WEIGHTS)


@pytest.mark.parametrize("file", [GRAPH, WEIGHTS])
def test_one_flipped_bit_is_noticed(light, file):
    content = bytearray((light / file).read_bytes())
    content[17] ^= 1
    (light / file).write_bytes(content)
    message = rejected(light, "model-damaged")
    assert file in message
    assert "checksum" in message


@pytest.mark.parametrize("file", [GRAPH, WEIGHTS])
def test_a_missing_file_is_named(light, file):
    (light / file).unlink()
    assert file in rejected(light, "model-missing")


def test_a_model_that_is_not_there_is_named(tmp_path):
    assert "'none'" in rejected(tmp_path / "none", "model-missing")
    (tmp_path / "empty").mkdir()
    assert "'empty'" in rejected(tmp_path / "empty", "model-missing")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"\xff\xfe\x00"])
def test_a_card_that_is_no_card_is_named(light, content):
    (light / CARD).write_bytes(content)
    assert "card.json of light" in rejected(light, "model-damaged")


def test_a_card_with_a_key_that_nobody_knows_is_refused(light):
    change_card(light, surprise=1)
    rejected(light, "model-damaged")


@pytest.mark.parametrize("left_out", [GRAPH, WEIGHTS])
def test_a_card_vouches_for_graph_and_weights(light, left_out):
    """A card without a checksum would let any file pass."""
    sums = json.loads((light / CARD).read_text())["sha256"]
    change_card(light, sha256={file: value for file, value in sums.items() if file != left_out})
    assert left_out in rejected(light, "model-damaged")


def test_a_card_speaks_of_files_in_its_own_folder_only(light):
    sums = json.loads((light / CARD).read_text())["sha256"]
    change_card(light, sha256={**sums, "../light/model.onnx": sums[GRAPH]})
    rejected(light, "model-missing")


def test_a_shipped_name_means_the_shipped_bundle_whatever_lies_in_the_working_folder(
    light, tmp_path, monkeypatch
):
    shipped = tmp_path / "package" / "models"
    shutil.copytree(light, shipped / "infection")
    change_card(shipped / "infection", description="shipped")
    shutil.copytree(light, tmp_path / "work" / "infection")
    monkeypatch.setattr(module, "models_folder", lambda: shipped)
    monkeypatch.chdir(tmp_path / "work")
    assert list_bundles() == ["infection"]
    assert load_bundle("infection").card.description == "shipped"
    assert load_bundle().card.description == "shipped"
    assert load_bundle("./infection").card.description != "shipped"


def test_shipped_bundles_are_whole():
    for name in list_bundles():
        assert load_bundle(name).card.name == name


def test_weights_of_another_network_are_refused(bundle, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    tensors = load_file(bundle.weights)
    tensors.pop("encoder.conv1.weight")
    save_file({**tensors, "more": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ResourceError, match="inf-net with resnet18") as caught:
        load_network(Bundle(tmp_path, bundle.card))
    assert caught.value.code == "model-damaged"


@pytest.mark.parametrize("change", [{"network": "no-net"}, {"base_width": 8}], ids=str)
def test_a_card_that_names_another_network_than_its_weights_is_refused(lesions_bundle, change):
    card = lesions_bundle.card.model_copy(update=change)
    with pytest.raises(ResourceError, match="does not hold the weights") as caught:
        load_network(Bundle(lesions_bundle.folder, card))
    assert caught.value.code == "model-damaged"


def test_a_card_of_before_says_nothing_of_inputs_and_is_of_infection(light):
    card = json.loads((light / CARD).read_text())
    for key in ("inputs", "outputs", "base_width"):
        card.pop(key)
    (light / CARD).write_text(json.dumps(card))
    loaded = load_bundle(light).card
    assert (loaded.inputs, loaded.outputs, loaded.target) == (
        ("grey",),
        ("infection",),
        "infection",
    )
    assert loaded.base_width == 64


def test_a_card_of_a_network_for_lesions_needs_no_grey_split(light):
    write_card(light, **LESIONS_CARD, input={**SPEC, "grey_split": None})
    card = load_bundle(light).card
    assert (card.target, card.inputs) == ("lesions", ("grey", "prior"))


SPEC = {"height": 64, "width": 96, "window_hu": (-1350, 150), "orientation": "any"}


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["grey", "prior"]},
        {"outputs": ["background", "ggo", "consolidation"]},
        {"inputs": ["grey"], "outputs": ["lungs"]},
        {"input": SPEC},
    ],
    ids=["prior for infection", "lesions without prior", "lungs", "no grey_split"],
)
def test_a_card_of_no_network_that_there_is_is_refused(light, change):
    change_card(light, **change)
    rejected(light, "model-damaged")
