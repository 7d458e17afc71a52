"""Gaussians and meshes to pictures: gsplat's signature on a CPU, and a z-buffer for meshes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "api": ["Render", "render"],
        "gsplat_kernels": ["rendering_device"],
        "harmonics": ["spherical_harmonics"],
        "mesh": ["MeshBuffers", "project_vertices", "rasterize_mesh"],
        "rasterizer": ["rasterization"],
    },
)
