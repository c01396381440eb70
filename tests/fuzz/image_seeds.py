"""Seeds of the readers of images: good ones, and one a class of known CVEs."""

import gzip
import io
import pickle
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
from seed_files import Files, single

#: Slices, rows and columns of every seed: small, yet a volume to each reader.
SHAPE = (12, 32, 32)


def chest() -> np.ndarray:
    """(12, 32, 32) int16 HU: a body in air with two lungs."""
    from lungscore.scan.phantom import make_phantom

    return make_phantom("moderate", shape=SHAPE, spacing_mm=(20.0, 4.5, 4.5)).scan.values


def dicom_files(**changes: object) -> Files:
    """A series of uncompressed slices. changes: elements that every slice gets, or loses (None)."""
    from pydicom import dcmread

    from lungscore.scan.phantom import make_phantom
    from lungscore.scan.write import write_dicom_series

    phantom = make_phantom("moderate", shape=SHAPE, spacing_mm=(20.0, 4.5, 4.5))
    files = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "series"
        write_dicom_series(phantom.scan, folder)
        for path in sorted(folder.iterdir()):
            dataset = dcmread(path)
            for keyword, value in changes.items():
                if value is None:
                    del dataset[keyword]
                else:
                    setattr(dataset, keyword, value)
            stream = io.BytesIO()
            dataset.save_as(stream)
            files[path.name] = stream.getvalue()
    return files


def dicom() -> list[Files]:
    """Slices: plain, with odd elements, and as the CVEs of neighbours have them."""
    plain = next(iter(dicom_files().values()))
    floats = np.zeros((32, 32), "<f4").tobytes()
    elf = b"\x7fELF" + plain[4:128] + plain[128:]
    executable = b"MZ" + plain[2:128] + plain[128:]  # a program in the preamble (Diomede 99)
    escaping = next(iter(dicom_files(SeriesInstanceUID="1.2../../../etc/passwd").values()))
    # CVE-2026-3650: a value representation that is none in the meta header, and a length of 4 GB.
    odd_meta = plain.replace(b"UI", b"\x00\xff", 1)
    endless = plain[:140] + b"\x02\x00\x10\x00OB\0\0\xff\xff\xff\xff" + plain[140:]
    vast = next(iter(dicom_files(Rows=65535, Columns=65535).values()))  # a product of 4 · 10⁹
    palette = next(iter(dicom_files(PhotometricInterpretation="PALETTE COLOR").values()))
    full = dicom_files(BitsStored=16, HighBit=15)
    nested = plain + b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff" * 200
    bare = plain[132:]
    deflated = _deflated(plain)
    return single(
        *(plain, elf, executable, escaping, odd_meta, endless, vast, palette),
        *(next(iter(full.values())), nested, bare, deflated, plain + floats),
    )


def _deflated(plain: bytes) -> bytes:
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dataset = dcmread(io.BytesIO(plain))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def series() -> list[Files]:
    """Folders of slices, one with a DICOMDIR that leads out of it (CVE-2026-32711)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

    plain = dicom_files()
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.DirectoryRecordSequence = [record]
    stream = io.BytesIO()
    directory.save_as(stream, enforce_file_format=True)
    images = {f"{n}.png": next(iter(file.values())) for n, file in enumerate(picture()[:3])}
    volume = nifti()[0]["input"]
    return [
        plain,
        {"DICOMDIR": stream.getvalue(), **plain},
        {**plain, "notes.txt": b"text"},
        images,
        {"ct.nii": volume, "report.pdf": b"%PDF-1.4"},
    ]


def compressed() -> list[Files]:
    """Slices in RLE, JPEG lossless, JPEG-LS and JPEG 2000."""
    import gdcm
    from pydicom import dcmread
    from pydicom.uid import RLELossless

    plain = next(iter(dicom_files().values()))
    dataset = dcmread(io.BytesIO(plain))
    dataset.compress(RLELossless, generate_instance_uid=False)
    stream = io.BytesIO()
    dataset.save_as(stream)
    contents = [stream.getvalue()]
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "plain", Path(name) / "packed"
        source.write_bytes(plain)
        for syntax in ("JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"):
            reader = gdcm.ImageReader()
            reader.SetFileName(str(source))
            reader.Read()
            change = gdcm.ImageChangeTransferSyntax()
            change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
            change.SetInput(reader.GetImage())
            change.Change()
            writer = gdcm.ImageWriter()
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            writer.SetFileName(str(target))
            writer.Write()
            contents.append(target.read_bytes())
    return single(*contents)


def nifti() -> list[Files]:
    """Volumes of several types, a header extension, forged sizes, a bomb (CVE-2026-5437 ff.)."""
    import nibabel as nib

    values = chest().transpose(2, 1, 0)
    affine = np.diag([-4.5, -4.5, 20.0, 1.0])
    volumes = []
    for kind in (np.int16, np.float32, np.uint8):
        image = nib.Nifti1Image(
            values.clip(0, 255).astype(kind) if kind == np.uint8 else values.astype(kind), affine
        )
        volumes.append(image.to_bytes())
    extended = nib.Nifti1Image(values, affine)
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 40))
    second = nib.Nifti2Image(values, affine).to_bytes()
    forged = bytearray(volumes[0])
    forged[40:56] = struct.pack("<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1)
    bomb = gzip.compress(bytes(forged[:352]) + bytes(2**20), 9, mtime=0)
    labels = nib.Nifti1Image((values < -500).astype(np.uint8), affine).to_bytes()
    return single(
        *(*volumes, extended.to_bytes(), second, bytes(forged), bomb, labels),
        gzip.compress(volumes[0], 1, mtime=0),
    )


def nrrd() -> list[Files]:
    """Raw and deflated, with directions and with spacings alone."""
    values = np.asfortranarray(chest().transpose(2, 1, 0)).tobytes(order="F")
    head = (
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 32 32 12\n"
        b"space directions: (4.5,0,0) (0,4.5,0) (0,0,20)\nkinds: domain domain domain\n"
        b"endian: little\nencoding: %s\nspace origin: (0,0,0)\n\n"
    )
    plain = b"NRRD0001\ntype: short\ndimension: 3\nsizes: 32 32 12\nspacings: 4.5 4.5 20\n"
    plain += b"endian: little\nencoding: raw\n\n" + values
    forged = (head % b"gzip").replace(b"32 32 12", b"30000 30000 30000")
    return single(
        head % b"raw" + values,
        head % b"gzip" + gzip.compress(values, 1, mtime=0),
        plain,
        forged + gzip.compress(bytes(2**20), 9, mtime=0),
        (head % b"raw").replace(b"\n\n", b"\ndata file: ../../../etc/passwd\n\n"),
    )


def metaimage() -> list[Files]:
    """Attached raw and deflated data, and data beside the header."""
    values = chest().transpose(2, 1, 0).tobytes(order="F")
    head = (
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        b"CompressedData = %s\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        b"ElementSpacing = 4.5 4.5 20\nDimSize = 32 32 12\nElementType = MET_SHORT\n"
        b"ElementDataFile = %s\n"
    )
    packed = zlib.compress(values, 1)
    return [
        *single(head % (b"False", b"LOCAL") + values, head % (b"True", b"LOCAL") + packed),
        {"input": head % (b"False", b"chest.raw"), "chest.raw": values},
        {"input": head % (b"False", b"../../etc/passwd")},
    ]


def picture() -> list[Files]:
    """PNG of 8 and 16 bit, palette and text, a huge promise, JPEG with EXIF."""
    from PIL import Image, PngImagePlugin

    values = chest()[6]
    grey = ((values.astype(np.float64) + 1350) / 1500 * 255).clip(0, 255).astype(np.uint8)

    def saved(image: Image.Image, kind: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    text = PngImagePlugin.PngInfo()
    text.add_itxt("note", "x" * 4000, zip=True)
    plain = saved(Image.fromarray(grey), "PNG")
    size = struct.pack(">II", 60000, 60000)
    forged = plain[:16] + size + plain[24:29]
    forged += struct.pack(">I", zlib.crc32(plain[12:16] + size + plain[24:29])) + plain[33:]
    exif = Image.Exif()
    exif[0x0112] = 6
    return single(
        plain,
        saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        saved(Image.fromarray(grey).convert("P"), "PNG"),
        saved(Image.fromarray(grey), "PNG", pnginfo=text),
        saved(Image.fromarray(grey), "JPEG", exif=exif),
        saved(Image.fromarray(grey), "JPEG", progressive=True),
        forged,
    )


def archive() -> list[Files]:
    """Zips of slices and of a volume, names that lead out, bombs, and a model of torch."""

    def packed(members: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as target:
            for name, content in members.items():
                target.writestr(zipfile.ZipInfo(name), content, method)  # of no date
        return stream.getvalue()

    volume = nifti()[0]["input"]
    few = dict(list(dicom_files().items())[:3])
    slipping = {"../../etc/cron.d/x": b"x", "/abs": b"x", "C:\\x": b"x", "a\\b": b"x"}
    good = packed({"ct.nii": volume})
    # Sizes that are lies (Orthanc): the central directory says one byte.
    forged = good.replace(struct.pack("<I", len(volume)), struct.pack("<I", 1))
    return single(
        good,
        packed(few),
        packed({f"d{n}/" + name: content for n, (name, content) in enumerate(few.items())}),
        *(packed({name: content}) for name, content in slipping.items()),
        packed({"d/" * 200 + "f": b"x"}),
        packed({"zeros": bytes(2**22)}),
        packed({"inner.zip": packed({"x": b"x"})}),
        forged,
        packed({"ct.nii": volume}, zipfile.ZIP_STORED),
        packed({"archive/data.pkl": pickle.dumps(print), "archive/version": b"3"}),
    )
