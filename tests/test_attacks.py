"""The attack script holds, a family at a time."""

import attacks
import pytest


@pytest.mark.long
@pytest.mark.parametrize("family", attacks.FAMILIES)
def test_every_attack_is_held(family, record_property):
    lines = []
    found = attacks.attack([family], lines.append)
    record_property("summary", lines[-1])
    assert not found["failed"], "\n".join(lines)
    assert found["tried"] == found["held"] > 0
