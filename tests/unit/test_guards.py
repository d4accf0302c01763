"""The tables of attacks and of secrets are what the tests say."""

import guards


def test_the_table_of_attacks_is_written_from_the_tests() -> None:
    assert guards.PAGE.read_text("utf-8") == guards.page()


def test_the_table_of_secrets_is_written_from_the_test() -> None:
    assert guards.SECRETS_PAGE.read_text("utf-8") == guards.secrets_page()
