"""An avatar in other programs: splat files, glTF, a page for the browser, a bundle, a film."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "axes": ["with_up"],
        "bundle": ["write_bundle"],
        "film": ["FilmOptions", "film_motion"],
        "glb_file": ["GlbWriter", "accessor_array", "read_glb"],
        "glb_mesh": ["write_glb_mesh"],
        "glb_splats": ["read_glb_splats", "write_glb_splats"],
        "live": ["LiveViewer", "open_viewer"],
        "proxy": ["ProxyMesh", "make_proxy"],
        "formats": ["FORMATS", "SPLAT_FORMATS"],
        "splats": ["read_splats", "write_splats"],
        "subject": ["Subject", "choose_pose", "load_subject"],
        "write": ["export_avatar"],
    },
)
