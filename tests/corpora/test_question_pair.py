"""Question pairs: 0 is the same question, as the pairs themselves say."""

import pytest
from conftest import CORPORA
from fixture_rows import parse


@pytest.mark.corpora
@pytest.mark.parametrize("split", ["train", "test"])
def test_real_pairs_called_the_same_share_more_of_their_syllables(split):
    shares = {0: [], 1: []}
    for row in parse("question_pair", split, CORPORA):
        one, two = set(row["sentence1"]), set(row["sentence2"])
        shares[row["label"]].append(len(one & two) / len(one | two))
    same, other = (sum(values) / len(values) for values in shares.values())
    assert same > 1.5 * other
