"""The table of accepted columns is the one in the code."""

from pathlib import Path

from roboscale.results.names import column_table

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def test_the_table_of_columns_is_that_of_the_code():
    text = PAGE.read_text().partition("<!-- columns -->\n")[2].partition("\n<!-- end of columns -->")[0]
    assert text == column_table()
