"""Seeds of the readers of tables, results, experiments and bundles."""

import hashlib
import io
import json
import pickle
import struct
import zipfile

import numpy as np
from seed_files import Files, single

_ROW = "c1,p1,train,covid,,{source},volume,{path},,{digest},"


def manifest_csv() -> list[Files]:
    """Manifests of volumes and slices; a path that is a URL (OHIF, CVE-2026-12473)."""
    from lungscore.datasets.manifest import COLUMNS

    head = ",".join(COLUMNS) + "\r\n"
    paths = ("a.nii.gz", "https://example.org/a.nii", "../../etc/passwd", "=1+1.nii")
    rows = [_ROW.format(source="s", path=path, digest="0" * 64) for path in paths]
    slices = [row.replace("volume", "slice").replace("c1,", f"c{n},") for n, row in enumerate(rows)]
    return single(
        *((head + "\r\n".join(lines) + "\r\n").encode() for lines in (rows[:1], rows, slices))
    )


def manifest_parquet() -> list[Files]:
    """Manifests whose columns have the right type, and others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lungscore.datasets.manifest import COLUMNS

    good = dict(
        zip(COLUMNS, _ROW.format(source="s", path="a.nii", digest="0").split(","), strict=True)
    )
    inputs = []
    odd = (
        pa.array([2**30], pa.int32()).cast(pa.date32()),
        pa.array([2**62], pa.timestamp("us")),
        pa.array([b"\xff"], pa.binary()),
        pa.array([["x"]]),
        pa.array([None], pa.null()),
        pa.array(["x"]).dictionary_encode(),
    )
    for column in (None, *odd):
        columns = {name: pa.array([value or None], pa.string()) for name, value in good.items()}
        if column is not None:
            columns["path"] = column
        stream = io.BytesIO()
        pq.write_table(pa.table(columns), stream)
        inputs.append(stream.getvalue())
    return single(*inputs)


def result() -> list[Files]:
    """A result.json of masks alone."""
    from lungscore.analysis import as_lungs, assess
    from lungscore.inference.lesions import Lesions
    from lungscore.result import to_result
    from lungscore.scan.phantom import make_phantom

    phantom = make_phantom("moderate", shape=(16, 48, 48), spacing_mm=(17.5, 7.5, 7.5))
    lesions = Lesions(phantom.lesions, models=(), engine=None)
    analysis = assess(phantom.scan, as_lungs(phantom.lungs, "lungs"), lesions)
    return single(to_result(analysis).to_json())


def table() -> list[Files]:
    """Ratings and covariates as spreadsheets write them."""
    return single(
        b"case,infection_percent,ct_ss,mosmed\na,12.5,10,CT-1\nb,,3,CT-0\n",
        b"\xef\xbb\xbfcase;infection_percent;RUL infection_percent\na;12,5;1\nb;0,3;\n",
        b"patient,age,sex,crp\np1,54,male,12.5\np2,61,f,\n",
        b'case\tct_ss\n"a\tb"\t4\n=1+1\t5\n',
    )


def experiment() -> list[Files]:
    """Experiment files: small, whole, with anchors, and with an alias bomb."""
    whole = (
        "name: infection\ndescription: text\ntarget: infection\nnetwork:\n  name: inf-net\n"
        "  encoder: resnet18\ninput: {height: 256, width: 320, window_hu: [-1350, 150]}\n"
        "data:\n  infected: [covid-semiseg]\n  folds: 5\n  fold: 2\naugmentation:\n"
        "  rotation_degrees: 15.0\ntraining:\n  epochs: 40\n  precision: bf16-mixed\n  seed: 0\n"
    )
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    anchors = "base: &b {epochs: 3}\nname: x\ntraining: {<<: *b}\n"
    odd = 'name: 2026-13-45\nwhen: !!timestamp x\nkey: "\\UFFFFFFFF"\nn: 0x\ni: !!int abc\n'
    return [
        {"input": whole.encode()},
        {"input": b"name: small\n"},
        {"input": bomb.encode()},
        {"input": anchors.encode()},
        {"input": odd.encode()},
        {"input": b"extends: base.yaml\nname: child\n", "base.yaml": whole.encode()},
        {"input": b"extends: ../../etc/passwd\n"},
    ]


def card_files(graph: bytes | None = None) -> Files:
    """A bundle whose graph multiplies by one; the checksums are right."""
    import onnx
    from onnx import TensorProto, helper

    if graph is None:
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 32, 32))
            for name in ("grey", "infection")
        ]
        factor = helper.make_tensor("k", TensorProto.FLOAT, [], [1.0])
        node = helper.make_node("Mul", ["grey", "k"], ["infection"])
        made = helper.make_graph([node], "g", [values[0]], [values[1]], [factor])
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        graph = model.SerializeToString()
    files = {"model.onnx": graph, "weights.safetensors": b"none"}
    card = {
        "name": "made",
        "version": "0",
        "task": "none",
        "network": "none",
        "encoder": "none",
        "description": "times one",
        "data": [],
        "data_terms": "none",
        "limits": [],
        "input": {
            "height": 32,
            "width": 32,
            "window_hu": [-1350, 150],
            "orientation": "as shown",
            "grey_split": 0.8,
        },
        "experiment": {},
        "metrics": [],
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return {"input": json.dumps(card).encode(), **files}


def card() -> list[Files]:
    """A bundle, and one whose weights have another checksum (torch.hub's unchecked downloads)."""
    good = card_files()
    return [good, {**good, "weights.safetensors": b"other"}]


def graph() -> list[Files]:
    """The graph of a bundle; its checksum is made right again after mutation."""
    return single(card_files()["model.onnx"])


def safetensors() -> list[Files]:
    """Weights of a small network, a checkpoint's header, and pickles under that name."""
    from safetensors.numpy import save

    tensors = {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}
    good = save(tensors, {"facts": json.dumps({"epoch": 3, "history": [{"loss": 0.5}]})})
    half = save({name: value.astype(np.float16) for name, value in tensors.items()})
    huge = struct.pack("<Q", 2**40) + good[8:]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:  # what torch.load would open (CVE-2025-32434)
        target.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps(print))
    return single(
        good, half, huge, pickle.dumps(print), stream.getvalue(), good[:8] + pickle.dumps(print)
    )


def patient_model() -> list[Files]:
    """A detector and a clinical model."""
    feature = {
        "name": "infection_percent",
        "transform": "log1p",
        "mean": 1.0,
        "scale": 0.5,
        "coefficient": 0.7,
    }
    common = {
        "name": "n",
        "lungscore": "0",
        "features": [feature],
        "operating_point": 0.5,
        "trained_on": {
            "patients": 30,
            "scans": 30,
            "by_class": {"a": 15},
            "labels": {"a": ["a"]},
            "data_sha256": "0",
        },
        "left_out": {},
        "cross_validated": {},
        "meaning": "m",
    }
    detector = {"schema": "lungscore.detector/1", "intercept": 0.1, **common}
    clinical = {
        "schema": "lungscore.clinical/1",
        "classes": ["a", "b"],
        "covariates": [],
        "thresholds": [0.3],
        **common,
    }
    return single(json.dumps(detector).encode(), json.dumps(clinical).encode())
