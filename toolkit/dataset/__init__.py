"""Synthetic people: attributes are sampled, a writer makes a prompt of them, a model draws it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "records": ["AttributeRecord", "sample_record", "sample_records"],
        "prompts": ["ChatWriter", "PromptRecord", "check_prompt"],
        "templates": ["TemplateWriter"],
        "chat_server": ["ServerChat"],
        "chat_transformers": ["TransformersChat"],
        "images": ["Drawing", "ImageRecord"],
        "images_diffusers": ["DiffusionImages", "PRESETS", "Preset"],
        "images_procedural": ["ProceduralImages"],
        "person_of_record": ["make_person"],
    },
)
