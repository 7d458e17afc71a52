"""gsplat without a compiler: noticed before anything runs, said in one line, rendered anyway."""

import sys
from types import SimpleNamespace

import pytest
import torch

from toolkit.cameras import orbit_cameras
from toolkit.errors import MissingCapabilityError
from toolkit.render import gsplat_kernels, rasterizer


@pytest.fixture(autouse=True)
def forget():
    """`load` answers once per process."""
    gsplat_kernels.load.cache_clear()
    yield
    gsplat_kernels.load.cache_clear()


@pytest.fixture
def workshop(monkeypatch, tmp_path):
    """A machine with all that a compilation needs; the tests take tools away."""
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    nvcc.chmod(0o755)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    monkeypatch.setattr(
        gsplat_kernels,
        "find_spec",
        lambda name: SimpleNamespace(submodule_search_locations=[tmp_path]),
    )
    monkeypatch.setattr(gsplat_kernels.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    return tmp_path


def backend(monkeypatch, kernels):
    """In place of gsplat's module, whose import compiles."""
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", SimpleNamespace(_C=kernels))


def test_with_all_tools_gsplat_renders(workshop, monkeypatch, capsys):
    found = gsplat_kernels.examine()
    assert found.possible and not found.compiled and "minutes" in found.reason
    binary = gsplat_kernels.compiled_before()
    binary.parent.mkdir(parents=True)
    binary.touch()
    assert gsplat_kernels.examine().compiled
    backend(monkeypatch, SimpleNamespace(CameraModelType=object()))
    assert gsplat_kernels.rendering_device("cuda:1") == "cuda:1"
    assert capsys.readouterr().err == ""


def test_a_binary_in_the_package_needs_no_tools(workshop, monkeypatch):
    (workshop / "csrc.so").touch()
    monkeypatch.setenv("CUDA_HOME", "/nowhere")
    assert gsplat_kernels.examine().compiled


@pytest.mark.parametrize(
    "lacks, words",
    [
        ("nvcc", ["no CUDA toolkit (nvcc)", "Install the CUDA toolkit 13.0"]),
        ("another nvcc", ["nvcc is of CUDA 13.0, torch of CUDA 12.8", "toolkit 12.8"]),
        ("c++", ["no C++ compiler", "g++"]),
        ("ninja", ["no ninja", "pip install ninja"]),
        ("a CUDA build", ["built without CUDA", "CUDA build of torch"]),
        ("gsplat", ["gsplat is missing", "pip install gsplat"]),
        ("a kernel", ["did not compile or load (gsplat has disabled itself)", "_backend"]),
    ],
)
def test_without_a_tool_the_cpu_renders_and_one_line_says_why(
    workshop, monkeypatch, capsys, lacks, words
):
    """The old test was `find_spec("gsplat")`, which is true in every one of these but one."""
    backend(monkeypatch, None)
    monkeypatch.delenv("CXX", raising=False)
    if lacks == "nvcc":
        (workshop / "cuda" / "bin" / "nvcc").unlink()
    elif lacks == "another nvcc":
        monkeypatch.setattr(torch.version, "cuda", "12.8")
    elif lacks == "a CUDA build":
        monkeypatch.setattr(torch.version, "cuda", None)
    elif lacks == "gsplat":
        monkeypatch.setattr(gsplat_kernels, "find_spec", lambda name: None)
    elif lacks in ("c++", "ninja"):
        monkeypatch.setattr(
            gsplat_kernels.shutil, "which", lambda name, path=None: name if name != lacks else None
        )
    assert gsplat_kernels.rendering_device("cuda") == "cpu"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said
    assert gsplat_kernels.rendering_device("cpu") == "cpu" and not capsys.readouterr().err


def test_what_a_failed_compilation_says_is_passed_on(workshop, monkeypatch, capsys):
    def fails(name):
        print("gsplat: Setting up CUDA")  # its progress must not mix with what the command prints
        raise RuntimeError("Error building extension 'gsplat_cuda'\nmany lines")

    monkeypatch.setattr(gsplat_kernels, "import_module", fails)
    assert gsplat_kernels.rendering_device("cuda") == "cpu"
    out, err = capsys.readouterr()
    assert not out and "(Error building extension 'gsplat_cuda')" in err and "many" not in err


def test_tensors_on_a_gpu_without_kernels_are_refused_in_words(workshop, monkeypatch):
    """gsplat itself says: 'NoneType' object has no attribute 'CameraModelType'."""
    monkeypatch.setattr(torch.version, "cuda", None)
    cameras = orbit_cameras([0.0], [0.0], radius_m=2.0, fov_y_deg=30.0, size=(16, 16))

    class OnGpu:
        is_cuda = True

    call = rasterizer.rasterization
    call = getattr(call, "__wrapped__", call)  # without the check of shapes and types
    with pytest.raises(MissingCapabilityError, match="built without CUDA.*to the CPU"):
        call(OnGpu(), None, None, None, None, cameras.viewmats, cameras.Ks, 16, 16)


@pytest.mark.parametrize("variable", [None, "TORCH_EXTENSIONS_DIR"])
def test_an_earlier_binary_is_looked_for_where_torch_keeps_it(monkeypatch, tmp_path, variable):
    from torch.utils.cpp_extension import _get_build_directory

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "own"))
    folder = _get_build_directory("gsplat_cuda", False)
    assert str(gsplat_kernels.compiled_before().parent) == folder


def test_this_machine_is_examined_without_compiling():
    found = gsplat_kernels.examine()
    if torch.version.cuda is None:
        assert not found.possible and "without CUDA" in found.reason
    assert "gsplat.cuda._backend" not in sys.modules
