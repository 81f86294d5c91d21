"""The card is read back as the Hub reads it, and shows names as they are."""

import ast
import json
import shlex
import subprocess
from xml.etree import ElementTree

import pytest
import yaml
from markdown_it import MarkdownIt

from nlpbook_data.reports.card import as_text, public_name, write_card

SCORES = {
    "validation": {"accuracy": 0.7},
    "test": {"accuracy": 0.81234, "expected_calibration_error": 0.02},
    "baselines": {"majority": {"test": {"accuracy": 0.5}}},
}
USAGE = 'classify = pipeline("text-classification", model="MODEL")'
NASTY = ["<script>alert(1)</script>", "a|b", "[x](http://y.kr)", "**굵게**", "`코드`", "줄\n바꿈"]


def write(outcome, labels=("긍정", "부정")):
    write_card(outcome, "문서 분류", "text-classification", USAGE, labels)
    front, _, body = (outcome.folder / "README.md").read_text("utf-8")[4:].partition("\n---\n")
    return yaml.safe_load(front), body


def render(body):
    """Return the tags and the text of Markdown as it is shown."""
    made = MarkdownIt("gfm-like", {"linkify": False, "xhtmlOut": True}).render(body)
    tree = ElementTree.fromstring(f"<body>{made}</body>")
    return [node.tag for node in tree.iter()][1:], "".join(tree.itertext())


def test_the_score_of_test_is_in_the_index_of_models(finished):
    front, body = write(finished(SCORES))
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": 0.8123, "name": "accuracy"}]
    assert result["dataset"]["split"] == "test" and front["base_model"] == "klue/bert-base"
    assert "license" not in front  # it is the base model's to give
    tags, text = render(body)
    for said in ("0.8123", "0.5000", "640행", "ratings_test.txt", "CC0-1.0", "정확도", "12초"):
        assert said in text
    assert tags.count("table") == 1 and tags.count("img") == 1


def test_labels_and_file_names_are_no_markup(finished):
    def scores(labels):
        row = {"precision": 0.5, "recall": 0.25, "f1": 0.3333, "support": 1234}
        return SCORES | {"test": SCORES["test"] | {"per_class": dict.fromkeys(labels, row)}}

    plain, _ = render(write(finished(scores("abcdef")), ["x"] * len(NASTY))[1])
    tags, text = render(write(finished(scores(NASTY)), NASTY)[1])
    assert text.count("1,234") == len(NASTY)
    assert tags == plain
    assert ", ".join(" ".join(label.split()) for label in NASTY) in text
    assert "리뷰 [1].jsonl" in text


@pytest.mark.parametrize("name", ["tester/reviews", 'a "b" [1]', "\\n", "<b>"])
def test_the_snippet_names_the_model_whatever_it_is_called(finished, name):
    body = write(finished(SCORES, name=name))[1]
    code = body.split("```python\n")[1].split("\n```")[0]
    (call,) = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    assert ast.literal_eval(call.keywords[0].value) == name
    assert name in render(body)[1]


def test_a_model_of_this_machine_is_not_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local").mkdir()
    for name in (None, "package:models/tiny_encoder", "local", "./local", "/a/b", "~/b", "a/b/c"):
        assert public_name(name) is None
    assert public_name("klue/bert-base") == "klue/bert-base"


def test_how_the_weights_were_chosen_is_said(finished):
    assert "마지막 가중치" in write(finished(SCORES, metric=None))[1]
    arguments = finished(SCORES).record["arguments"]
    alone = {"arguments": arguments | {"do_train": False}}
    assert "학습하지 않음" in write(finished(SCORES, alone))[1]
    scratch = {"arguments": arguments | {"from_scratch": True}}
    front, body = write(finished({}, scratch), [])
    assert "무작위 가중치" in body and "점수 없음" in body and "레이블" not in body
    assert front["license"] == "cc0-1.0" and "base_model" not in front


def serving(outcome, model_type, pooling="mean"):
    """Return the lines of the card that serve a model of this type."""
    (outcome.folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (outcome.folder / "1_Pooling").mkdir(exist_ok=True)
    (outcome.folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": pooling}))
    _, _, block = write(outcome)[1].partition("```bash\n")
    return block.partition("\n```")[0]


def test_a_server_is_named_where_it_loads_the_model(finished, tmp_path, monkeypatch):
    def of(recipe, model_type="bert", name="tester/reviews", pooling="mean", **options):
        arguments = finished({}).record["arguments"] | options
        record = {"recipe": recipe, "arguments": arguments}
        return serving(finished(SCORES, record, name=name), model_type, pooling)

    assert " --model-id tester/reviews\n" in of("doccls") and "-v " not in of("doccls")
    for recipe, route in (("doccls", "predict"), ("search", "embed"), ("rerank", "rerank")):
        assert f"8080/{route} " in of(recipe, "roberta")
        assert not of(recipe, "modernbert") and not of(recipe, "electra")
    assert " --pooling last-token\n" in of("search", pooling="lasttoken")
    for pooling in ("max", ["mean", "max"]):
        assert not of("search", pooling=pooling)
    assert not of("doccls", multi_label=True)
    assert not any(map(of, ("paircls", "ner", "qa", "generation", "pretrain")))

    monkeypatch.chdir(tmp_path)
    (tmp_path / "my runs" / "a$b").mkdir(parents=True)
    for name in ("my runs/a$b", "a$b"):  # a folder below, and one that lies elsewhere
        start, asked = of("doccls", name=name).split("\n", 1)
        words = subprocess.run(
            ["bash", "-c", start.replace("docker run", "printf '%s\\n'")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        assert words[words.index("-v") + 1] == f"{tmp_path}/{name}:/model"
        assert words[words.index("--model-id") + 1] == "/model"
        assert json.loads(shlex.split(asked.replace("\\\n", " "))[-1])["inputs"]


def limits(outcome, labels=("긍정", "부정")):
    body = write(outcome, labels)[1]
    return render(body.split("## 한계")[1].split("## 사용법")[0])[1]


def test_limits_are_what_the_run_knows(finished):
    known = finished(SCORES).record
    one = limits(finished(SCORES, {"data": known["data"] | {"name": "<b>a|b"}}))
    for said in ("<b>a|b의 train 640행", "test 200행", "시드 하나(7)", "토큰 128개", "레이블 2개"):
        assert said in one
    assert "어떤 글이든 그중 하나로" in one and "기준선" not in one and "지어낸" not in one
    level = {"baselines": {"n-grams": {"test": {"accuracy": 0.81234}}}}
    assert "가장 좋은 기준선(n-grams)보다 점수가 높지 않습니다" in limits(finished(SCORES | level))

    spread = {"runs": {"1": {}, "2": {}}, "test": {"accuracy": {"mean": 0.4, "std": 0.1}}}
    two = {"arguments": known["arguments"] | {"seeds": [1, 2]}}
    several = limits(finished(SCORES | {"seeds": spread}, two))
    assert "시드 2개의 평균" in several and "기준선(majority)" in several  # 0.5 beside 0.4

    def of(recipe, scores, **options):
        arguments = {"arguments": known["arguments"] | options}
        return limits(finished({"test": scores}, {"recipe": recipe, **arguments}))

    entities = of("ner", {"micro_f1": 0.5}, stride=32)
    assert "32개 이상 겹치는 창" in entities and "유형 2가지만" in entities
    assert "하나도 없을 수" in of("doccls", {"micro_f1": 0.5}, multi_label=True)
    found = of("search", {"mrr_at_10": 0.5, "passages": 1800})
    assert "문서 1,800개에서만" in found and "한국어" in found and "레이블" not in found
    written = of("generation", {"bits_per_character": 4.0})
    assert "지어낸 것" in written and "잘라" not in written and "레이블" not in written


@pytest.mark.parametrize("text", [*NASTY, "# 제목", "www.a.kr", "a@b.kr", "&lt;", "~~x~~", "$x$"])
def test_text_is_shown_as_it_is_and_nothing_more(text):
    tags, shown = render(f"| a |\n|---|\n| {as_text(text)} |")
    assert set(tags) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert " ".join(text.split()) in shown


def test_long_text_is_cut():
    assert as_text("가" * 300) == "가" * 200 + "…"
