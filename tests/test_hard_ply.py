"""PLY dialects of other programs: the same Gaussians, or one error that names the property."""

import numpy as np
import pytest
import torch

from toolkit.errors import InputError, MissingFileError
from toolkit.gaussians import Gaussians, load_ply
from toolkit.run.ply_file import read_ply_columns

N = 40
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip


def raw(num_rest: int = 9) -> dict[str, np.ndarray]:
    """Columns of a file: logarithms, logits and quaternions of any length, as float32."""
    rng = np.random.default_rng(1)
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{i}" for i in range(num_rest)] + ["opacity"]
    columns = {name: rng.normal(size=N) for name in names}
    columns |= {f"scale_{i}": rng.normal(-4, 1, N) for i in range(3)}
    columns |= {f"rot_{i}": rng.normal(size=N) for i in range(4)}
    return {name: values.astype(np.float32) for name, values in columns.items()}


def expected(columns, num_rest=9) -> Gaussians:
    """Plain numpy, written from the paper's layout."""
    c = {name: values.astype(np.float64) for name, values in columns.items()}
    quats = np.stack([c[f"rot_{i}"] for i in range(4)], 1)
    rest = np.stack([c[f"f_rest_{i}"] for i in range(num_rest)], 1) if num_rest else None
    sh = np.stack([c[f"f_dc_{i}"] for i in range(3)], 1)[:, None]
    if num_rest:
        sh = np.concatenate([sh, rest.reshape(N, 3, -1).transpose(0, 2, 1)], 1)
    arrays = {
        "means": np.stack([c[k] for k in "xyz"], 1),
        "quats": quats / np.linalg.norm(quats, axis=1, keepdims=True),
        "scales": np.exp(np.stack([c[f"scale_{i}"] for i in range(3)], 1)),
        "opacities": 1 / (1 + np.exp(-c["opacity"])),
        "sh": sh,
    }
    return Gaussians(**{k: torch.tensor(v, dtype=torch.float32) for k, v in arrays.items()})


def same(got: Gaussians, wanted: Gaussians) -> None:
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(
            getattr(got, name), getattr(wanted, name), rtol=2e-6, atol=1e-6, msg=name
        )


def ply(
    columns, *, form="binary_little_endian", types=None, end="\n", lines=(), lists=(), tail=b""
):
    """A PLY file from columns, "float" unless `types` says otherwise; `lists` are more columns."""
    types = types or {}
    kind = {name: types.get(name, "float") for name in columns}
    head = ["ply", f"format {form} 1.0", *lines, f"element vertex {N}"]
    head += [f"property {kind[name]} {name}" for name in columns]
    head += [f"property list uchar int {name}" for name in lists] + ["end_header", ""]
    header = end.join(head).encode()
    if form == "ascii":
        rows = zip(
            *[c.tolist() for c in columns.values()], *[["2 7 8"] * N for _ in lists], strict=True
        )
        body = end.join(" ".join(str(v) for v in row) for row in rows) + end
        return header + body.encode() + tail
    order = "<" if "little" in form else ">"
    table = np.empty(N, [(name, order + TYPES[kind[name]]) for name in columns])
    for name, values in columns.items():
        table[name] = values
    one = b"\x02" + np.array([7, 8], order + "i4").tobytes()
    return header + b"".join(row.tobytes() + one * len(lists) for row in table) + tail


RAW, RAW0, RAW45 = raw(), raw(0), raw(45)
EXTRA = {"nx": RAW["x"], "confidence": RAW["y"], "label": np.arange(N), "red": np.arange(N)}
EXTRA_TYPES = {"confidence": "double", "label": "int", "red": "uchar"}
SAME = {
    "SH 0": (ply(RAW0), RAW0, 0),
    "SH 1": (ply(RAW), RAW, 9),
    "SH 3": (ply(RAW45), RAW45, 45),
    "extra properties": (ply(RAW | EXTRA, types=EXTRA_TYPES), RAW, 9),
    "extra ones first": (ply(EXTRA | RAW, types=EXTRA_TYPES), RAW, 9),
    "ascii": (ply(RAW, form="ascii"), RAW, 9),
    "ascii with CRLF": (ply(RAW, form="ascii", end="\r\n"), RAW, 9),
    "ascii without a last line break": (ply(RAW, form="ascii")[:-1], RAW, 9),
    "ascii with extra properties": (ply(EXTRA | RAW, form="ascii", types=EXTRA_TYPES), RAW, 9),
    "big-endian": (ply(RAW, form="binary_big_endian"), RAW, 9),
    "binary with CRLF": (ply(RAW, end="\r\n"), RAW, 9),
    "float32": (ply(RAW, types=dict.fromkeys(RAW, "float32")), RAW, 9),
    "double": (ply(RAW, types=dict.fromkeys(RAW, "double")), RAW, 9),
    "float64, big-endian": (
        ply(RAW, types=dict.fromkeys(RAW, "float64"), form="binary_big_endian"), RAW, 9
    ),
    "comments": (ply(RAW, lines=["comment by nobody", "comment"]), RAW, 9),
    "obj_info": (ply(RAW, lines=["obj_info num_cols 7", "comment x"]), RAW, 9),
    "list property": (ply(RAW, lists=["seen_by"]), RAW, 9),
    "list property, ascii": (ply(RAW, lists=["seen_by"], form="ascii"), RAW, 9),
    "an element behind": (
        ply(RAW, tail=bytes(8)).replace(
            b"end_header\n", b"element extra 2\nproperty int number\nend_header\n"
        ), RAW, 9,
    ),
    "an element in front": (
        ply(RAW).replace(
            b"element vertex", b"element camera 0\nproperty float focal\nelement vertex", 1
        ), RAW, 9,
    ),
    "bytes behind": (ply(RAW, tail=b"made by nobody"), RAW, 9),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_a_dialect_gives_the_same_numbers(tmp_path, name):
    data, columns, num_rest = SAME[name]
    (tmp_path / "a.ply").write_bytes(data)
    same(load_ply(tmp_path / "a.ply"), expected(columns, num_rest))


def with_value(name: str, value: float, row: int = 3) -> dict:
    values = RAW[name].copy()
    values[row] = value
    return RAW | {name: values}


def test_infinite_logarithms_and_logits_mean_flat_opaque_and_clear(tmp_path):
    columns = with_value("scale_1", -np.inf)
    columns["opacity"] = columns["opacity"].copy()
    columns["opacity"][:2] = np.inf, -np.inf
    for form in ("binary_little_endian", "ascii"):
        (tmp_path / "a.ply").write_bytes(ply(columns, form=form))
        g = load_ply(tmp_path / "a.ply")
        assert 0 < g.scales[3, 1] <= 1e-8 and g.scales[3, 0] == np.exp(columns["scale_0"][3])
        assert g.opacities[:2].tolist() == [1.0, 0.0]


def test_discs_have_no_third_scale(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply({k: v for k, v in RAW.items() if k != "scale_2"}))
    g, wanted = load_ply(tmp_path / "a.ply"), expected(RAW)
    assert (g.scales[:, 2] <= 1e-8).all() and (g.scales > 0).all()
    same(g, wanted.replace(scales=g.scales))
    torch.testing.assert_close(g.scales[:, :2], wanted.scales[:, :2])


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_quaternions_of_any_length_become_unit(tmp_path, factor):
    columns = {k: v * np.float32(factor) if k.startswith("rot") else v for k, v in RAW.items()}
    (tmp_path / "a.ply").write_bytes(ply(columns))
    same(load_ply(tmp_path / "a.ply"), expected(RAW))


def zero_quats(equal: bool) -> dict:
    columns = {k: v * (k[:3] != "rot" or 1) for k, v in RAW.items()}
    columns |= {f"rot_{i}": np.where(np.arange(N) < 5, 0, RAW[f"rot_{i}"]) for i in range(4)}
    return columns | ({f"scale_{i}": RAW["scale_0"] for i in range(3)} if equal else {})


def test_zero_quaternions_pass_only_where_no_rotation_matters(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply(zero_quats(equal=True)))
    quats = load_ply(tmp_path / "a.ply").quats
    assert (quats[:5] == torch.tensor([1.0, 0, 0, 0])).all()
    assert (quats.norm(dim=1) - 1).abs().max() < 1e-6


def header(text: str) -> bytes:
    return f"ply\nformat binary_little_endian 1.0\n{text}\nend_header\n".encode()


def dropped(name: str) -> bytes:
    return ply({k: v for k, v in RAW.items() if k != name})


AS_LIST = ply({k: v for k, v in RAW.items() if k != "opacity"}, lists=["opacity"])
PACKED = header(
    "element chunk 1\nproperty float min_x\nelement vertex 1\nproperty uint packed_position"
)
WRONG = {
    "NaN": (ply(with_value("f_dc_1", np.nan)), "f_dc_1 = nan in row 3"),
    "NaN, ascii": (ply(with_value("z", np.nan), form="ascii"), "z = nan in row 3"),
    "NaN opacity": (ply(with_value("opacity", np.nan)), "opacity = nan"),
    "NaN scale": (ply(with_value("scale_0", np.nan)), "scale_0 = nan"),
    "Inf scale": (ply(with_value("scale_2", np.inf)), "scale_2 = inf"),
    "scale of e^200": (ply(with_value("scale_2", 200)), "scale_2 = 200"),
    "Inf mean": (ply(with_value("y", -np.inf)), "y = -inf"),
    "Inf colour": (ply(with_value("f_rest_8", np.inf)), "f_rest_8 = inf"),
    "1e300": (
        ply(with_value("x", 0) | {"x": np.full(N, 1e300)}, types={"x": "double"}), "x = inf"
    ),
    "zero quaternions": (ply(zero_quats(equal=False)), "rot_0 to rot_3 all 0 in 5 rows"),
    "no scale_1": (dropped("scale_1"), "scale_1"),
    "no rot_2": (dropped("rot_2"), "rot_2"),
    "no z": (dropped("z"), "'z'"),
    "no f_dc_0": (dropped("f_dc_0"), "f_dc_0"),
    "no f_rest_3": (dropped("f_rest_3"), "f_rest_3"),
    "a list for a number": (AS_LIST, "opacity"),
    "colours of a point cloud": (
        ply({"x": RAW["x"], "y": RAW["y"], "z": RAW["z"], "red": np.arange(N)},
            types={"red": "uchar"}), "f_dc_0"
    ),
    "compressed": (PACKED + bytes(8), "compressed"),
    "no rows": (ply(RAW).replace(b"vertex 40", b"vertex 0"), "no Gaussians"),
    "too few rows": (ply(RAW)[:-9], "cut off"),
    "too few rows, ascii": (ply(RAW, form="ascii")[:3000], "row|cut off"),
    "four billion rows": (ply(RAW).replace(b"vertex 40", b"vertex 4294967295"), "promises"),
    "10^30 rows": (ply(RAW).replace(b"vertex 40", b"vertex 1" + b"0" * 30), "promises"),
    "negative rows": (ply(RAW).replace(b"vertex 40", b"vertex -40"), "promises|negative"),
    "rows in words": (ply(RAW).replace(b"vertex 40", b"vertex many"), "many"),
    "a list of 4 billion": (
        header("element vertex 1\nproperty list uint float x") + b"\xff" * 4 + bytes(40),
        "list|early",
    ),
    "an unknown type": (ply(RAW).replace(b"property float x", b"property half x"), "half"),
    "twice the same property": (ply(RAW).replace(b" y\n", b" x\n"), "x"),
    "no vertex": (ply(RAW).replace(b"vertex", b"points"), "vertex"),
    "no end of the header": (ply(RAW).replace(b"end_header", b"comment x"), "without an end"),
    "unknown format": (ply(RAW).replace(b"binary_little", b"binary_middle"), "format|middle"),
    "words among numbers": (ply(RAW, form="ascii").replace(b"\n0", b"\nx", 1)[:-1], "row|x"),
    "a numbers-only file": (np.arange(900.0).tobytes(), "no PLY"),
    "empty": (b"", "no PLY"),
    "an OBJ": (b"v 0 0 0\nv 1 0 0\nf 1 2 2\n", "no PLY"),
    "a name with escapes": (ply(RAW).replace(b" z\n", b" \x1b[2J\n"), "z"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_names_the_property(tmp_path, name):
    data, says = WRONG[name]
    (tmp_path / "bad.ply").write_bytes(data)
    with pytest.raises(InputError, match=f"bad.ply: got .*({says})") as caught:
        load_ply(tmp_path / "bad.ply")
    assert str(caught.value).isprintable() and "wanted" in str(caught.value)


def test_what_is_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "none.ply", "/dev/zero"):
        with pytest.raises(MissingFileError, match="does not exist"):
            load_ply(path)


def test_types_of_columns_are_the_files(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply(EXTRA, types=EXTRA_TYPES))
    columns = read_ply_columns(tmp_path / "a.ply")
    assert columns["red"].dtype == np.uint8 and columns["confidence"].dtype == np.float64
