"""What is read from an executed notebook, and what is left out when it is stored."""

from pathlib import Path

import nbformat


def code_cells(path: Path) -> list:
    """The notebook's own code cells, without the one in which papermill sets the parameters."""
    return [
        c
        for c in nbformat.read(path, as_version=4).cells
        if c.cell_type == "code" and "injected-parameters" not in c.metadata.get("tags", [])
    ]


def seconds_at_work(executed: Path) -> float:
    """Time that the code cells took, without the start of the kernel."""
    records = [cell.metadata.get("papermill", {}) for cell in code_cells(executed)]
    return float(sum(record.get("duration") or 0 for record in records))


def printed(executed: Path) -> str:
    """All that the code cells wrote to stdout."""
    return "".join(
        output.text
        for cell in code_cells(executed)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


def read_clean(executed: Path) -> nbformat.NotebookNode:
    """An executed copy without papermill's times and paths, and without greetings of libraries."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs = [slim(o) for o in cell.outputs if not is_greeting(o)]
    return notebook


def is_greeting(output: nbformat.NotebookNode) -> bool:
    """Whether a native library wrote this on stderr when it was loaded."""
    return output.output_type == "stream" and output.text.startswith("INFO: Created TensorFlow")


def slim(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output without the PNG where IPython stored a photo as PNG and as JPEG."""
    if {"image/png", "image/jpeg"} <= set(output.get("data", {})):
        del output["data"]["image/png"]
    return output
