"""What a dictionary of the training entities finds."""

from nlpbook_data.baselines.ner import learn_dictionary


def make_row(text: str, *entities: tuple[str, int]) -> dict:
    """A row with the first place in `text` of each (entity, label)."""
    spans = [
        {"start": text.index(word), "end": text.index(word) + len(word), "label": label}
        for word, label in entities
    ]
    return {"text": text, "entities": spans}


def find(train: list[dict], text: str) -> list[tuple[str, int]]:
    found = learn_dictionary(train).find(text)
    return [(text[span["start"] : span["end"]], span["label"]) for span in found]


def test_a_known_entity_is_found_with_its_label_and_place():
    train = [make_row("서울에서 만난 홍길동", ("서울", 1), ("홍길동", 0))]
    [one, other] = learn_dictionary(train).find("홍길동은 서울로")
    assert one == {"start": 0, "end": 3, "label": 0}
    assert other == {"start": 5, "end": 7, "label": 1}


def test_the_longest_entity_counts_also_at_the_end_of_a_text():
    train = [make_row("서울", ("서울", 1)), make_row("서울 시청", ("서울 시청", 2))]
    assert find(train, "서울 시청과 서울") == [("서울 시청", 2), ("서울", 1)]
    assert list(learn_dictionary(train).find("서울")) == [{"start": 0, "end": 2, "label": 1}]


def test_an_entity_has_its_most_frequent_label_and_of_equal_ones_the_first():
    train = [make_row("삼성", ("삼성", label)) for label in (0, 2, 2)]
    assert find(train, "삼성") == [("삼성", 2)]
    train = [make_row("삼성", ("삼성", label)) for label in (2, 0)]
    assert find(train, "삼성") == [("삼성", 2)]


def test_an_entity_begins_where_a_word_does():
    train = [make_row("주", ("주", 1))]
    assert find(train, "전주 (주) 3주 주") == [("주", 1), ("주", 1)]


def test_what_is_mostly_no_entity_in_train_is_left_out():
    entity, word = make_row("이 씨", ("이", 0)), make_row("이 사람")
    assert find([entity, word], "이 씨") == [("이", 0)]  # half is enough
    assert find([entity, word, word], "이 씨") == []


def test_what_has_another_label_in_most_places_is_right_only_where_it_has_its_own():
    train = [make_row("삼성", ("삼성", label)) for label in (0, 0, 1, 2, 3)]
    assert find(train, "삼성") == []  # right in two places of five


def test_texts_without_known_entities_and_empty_ones_have_none():
    train = [make_row("서울", ("서울", 1))]
    assert [find(train, text) for text in ("부산", "", "서")] == [[], [], []]
    assert find([make_row("서울")], "서울") == []
