"""The errors of the whole product: one class per code, one sentence each."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import tollkeeper
from tollkeeper.base.errors import TollkeeperError, catalogue


def test_each_code_has_one_class_and_a_title() -> None:
    for module in pkgutil.walk_packages(tollkeeper.__path__, "tollkeeper."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = [error for error in catalogue() if error.__module__.startswith("tollkeeper.")]
    codes = Counter(error.code for error in ours if "code" in vars(error))
    assert {code: count for code, count in codes.items() if count > 1} == {}
    for error in ours:
        title = (error.__doc__ or "").strip()
        assert title, error
        assert "\n" not in title, error
        assert not title.endswith("."), error
        assert 400 <= error.status < 600, error


def test_a_title_is_the_docstring_and_members_are_kept() -> None:
    class Gone(TollkeeperError):
        """It is gone"""

        code = "test_gone"
        status = 410

    error = Gone("The thing is gone", since=3)
    assert (error.title, error.detail, error.members) == (
        "It is gone",
        "The thing is gone",
        {"since": 3},
    )
    assert str(error) == "The thing is gone"
