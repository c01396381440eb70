"""The settings of a node are refused where they are wrong, or would open it to strangers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lungscore.errors import InputError
from lungscore.node.config import NodeConfig, read_config

EVERYWHERE = "0.0.0.0"  # noqa: S104


def written(folder: Path, **values: Any) -> Path:
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump({"folder": "state"} | values), "utf-8")
    return path


def test_paths_are_relative_to_the_file_and_all_is_closed_by_default(tmp_path: Path) -> None:
    config = read_config(written(tmp_path))
    assert config.folder == tmp_path / "state"
    assert config.listen is not None
    assert config.listen.address == "127.0.0.1"
    assert config.listen.admits("127.0.0.1")
    assert config.listen.admits("::1")
    assert not config.listen.admits("192.168.1.2")
    assert config.monitoring.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"listen": {"address": EVERYWHERE}}, "calling"),
        ({"listen": {"address": EVERYWHERE, "calling": ["A"]}}, "calling"),
        ({"listen": {"address": "router"}}, "address"),
        ({"listen": {"ae_title": "much longer than it may be"}}, "ae_title"),
        ({"listen": {"addresses": ["10.0.0.1/8"]}}, "addresses"),
        ({"listen": {"tls": {"key": "nowhere.pem"}}}, "certificate"),
        ({"listen": {"tls": {"certificate": "nowhere.pem"}}}, "nowhere.pem"),
        ({"listen": None}, "watch"),
        ({"monitoring": {"address": EVERYWHERE}}, "loopback"),
        ({"quiet_seconds": 3}, "quiet_s"),
        ({"destinations": [{"name": "a", "kind": "dicom", "addres": "x"}]}, "address"),
        ({"destinations": [{"name": "../a", "kind": "folder", "path": "x"}]}, "name"),
        ({"destinations": [{"name": "a", "kind": "folder", "path": "x"}] * 2}, "one name"),
        ({"analysis": {"etiology": "influenza"}}, "covid-19"),
        ({"quiet_s": float("nan")}, "quiet_s"),
        ({"watch": "."}, "watch"),
        ({"watch": "state"}, "watch"),
        ({"watch": "state/incoming"}, "watch"),
        ({"watch": "state/results/x"}, "watch"),
        (
            {"watch": "d", "destinations": [{"name": "a", "kind": "folder", "path": "d/out"}]},
            "watch",
        ),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        read_config(written(tmp_path, **values))
    assert caught.value.code == "config-invalid"
    assert named in caught.value.message


def test_addresses_may_be_networks(tmp_path: Path) -> None:
    listen = {"address": EVERYWHERE, "calling": ["PACS"], "addresses": ["10.1.0.0/16", "::1"]}
    config = read_config(written(tmp_path, listen=listen))
    assert config.listen is not None
    assert config.listen.admits("10.1.2.3")
    assert config.listen.admits("::ffff:10.1.2.3")
    assert not config.listen.admits("10.2.2.3")
    assert not config.listen.admits("127.0.0.1")


def test_a_drop_folder_may_be_given_beside_the_file(tmp_path: Path) -> None:
    config: NodeConfig = read_config(written(tmp_path), watch=tmp_path / "drop")
    assert config.watch == tmp_path / "drop"
    assert read_config(written(tmp_path, watch="state/drop")).watch == tmp_path / "state" / "drop"
