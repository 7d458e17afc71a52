"""Synthetic people: attributes are sampled, written as a prompt, and drawn as a picture."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "records": ["AttributeRecord"],
        "balance": ["balanced_records"],
        "balance_measures": ["BalanceReport", "measure_balance"],
        "draws": ["sample_record"],
        "rules": ["contradictions"],
        "selection": ["parse_selection"],
        "words": ["Reading", "read_words"],
        "image_check": ["check_image", "image_hash"],
        "chat_server": ["ServerChat"],
        "chat_transformers": ["TransformersChat"],
        "prompts": ["PromptRecord"],
        "prompts_check": ["check_prompt"],
        "prompts_chat": ["ChatWriter"],
        "prompts_templates": ["TemplateWriter"],
        "images": ["Drawing", "ImageRecord"],
        "images_diffusers": ["DiffusionImages", "PRESETS", "Preset"],
        "images_procedural": ["ProceduralImages"],
        "person_of_record": ["make_person"],
    },
)
