"""A diagnosis: do meshes of an image-to-3D model, such as Hunyuan3D, lie on the photo?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": [
            "SHIFTS_PX",
            "TURNS_DEG",
            "PixelAlignment",
            "angle_map",
            "gaussian_normals",
            "measure_alignment",
            "measure_mesh",
            "measure_sensitivity",
            "paint_normals",
        ],
        "crop": ["Recentred", "recentre"],
        "meshes": ["Mesh", "generate_mesh", "read_mesh"],
        "view": ["MeshView", "draw_mesh", "fit_view", "to_view"],
    },
)
