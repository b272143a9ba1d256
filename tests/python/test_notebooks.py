"""What `scripts/notebooks.py --check` takes for the same output, and what not."""

import importlib.util

import pytest

pytest.importorskip("nbformat", reason="notebooks are read by nbformat")
pytest.importorskip("nbclient", reason="notebooks are executed by nbclient")


@pytest.fixture(scope="module")
def notebooks(repository):
    spec = importlib.util.spec_from_file_location("notebooks", repository / "scripts" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_digits_and_the_width_of_columns_do_not_matter(notebooks):
    assert notebooks.difference("d 2.99 (2.23 to 3.84)\nend", "d 2.98 (2.2 to 3.84)\nend") is None
    assert notebooks.difference("accuracy   0.963", "accuracy 0.95") is None


@pytest.mark.parametrize(
    ("kept", "fresh", "line"),
    [
        ("p = 0.005", "p = 0.0001", 1),
        ("PValue(9.999e-05)", "PValue(0.0004998)", 1),
        ("77 of 80", "76 of 80", 1),
        ("a\ndifference 0.269", "a\ndifference 0.186", 2),
        ("grows: False", "grows: True", 1),
        ("one\ntwo", "one", 2),
        ("one", "one\ntwo", 2),
    ],
)
def test_another_number_word_or_line_is_a_difference(notebooks, kept, fresh, line):
    assert notebooks.difference(kept, fresh).startswith(f"line {line}: expected ")


def test_the_outputs_that_are_kept_are_compared_cell_by_cell(notebooks, tmp_path):
    nbformat = notebooks.nbformat
    kept = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text"), nbformat.v4.new_code_cell("1")])
    kept.cells[1].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "0.25"})]
    path = tmp_path / "one.ipynb"
    nbformat.write(kept, path)
    fresh = nbformat.read(path, as_version=4)
    assert notebooks.changed(path, fresh) is None
    fresh.cells[1].outputs[0]["data"]["text/plain"] = "0.5"
    assert notebooks.changed(path, fresh) == "one.ipynb: cell 1, line 1: expected '0.25', got '0.5'"
