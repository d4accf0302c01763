"""The table of what happens to a job is what the tests beside this one say."""

import what_happens


def test_the_page_of_what_happens_is_the_one_that_the_tests_generate() -> None:
    written = what_happens.PAGE.read_text("utf-8")
    assert written == what_happens.page(), "run: python tests/support/what_happens.py"
