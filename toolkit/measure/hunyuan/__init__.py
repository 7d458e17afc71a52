"""A diagnosis: do meshes of an image-to-3D model, such as Hunyuan3D, lie on the photo?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": [
            "PixelAlignment",
            "angle_map",
            "compare",
            "gaussian_normals",
            "measure_mesh",
            "paint",
            "sensitivity",
        ],
        "meshes": ["Mesh", "Recentred", "generate_mesh", "read_mesh", "recentre"],
        "view": ["MeshView", "draw", "fit_view", "to_view"],
    },
)
