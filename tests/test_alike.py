from __future__ import annotations

from infra.serving.alike import alike


def test_places_of_equal_keys_stand_together_in_order():
    assert list(alike([(4, 3), (9, 9), (4, 3), (1, 1), (9, 9)]).items()) == [
        ((4, 3), [0, 2]), ((9, 9), [1, 4]), ((1, 1), [3]),
    ]  # fmt: skip
    assert alike(iter(())) == {}
