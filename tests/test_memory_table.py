"""The tables of docs/full_profile.md are what the code says."""

from tools.upkeep import memory_table


def test_the_page_is_what_its_module_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    text = memory_table.PAGE.read_text(encoding="utf-8")
    assert memory_table.page() == text, "run: python -m tools.upkeep.memory_table"
    assert text.count("| wan2.1-t2v-14b") == 2 and text.count(memory_table.END) == 2
