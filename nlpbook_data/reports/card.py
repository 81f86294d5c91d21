"""The model card: what the model is, what it scored, and how those numbers came about."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from nlpbook_data.reports.summary import SHOWN, format_score, score_rows
from nlpbook_data.training.arguments import PACKAGE_PREFIX

SAMPLES = "samples.json"
SAMPLE_PROMPTS = 4
SAMPLE_SCORES = {
    "agreement": "레이블 일치",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "repetition": "반복",
    "mean_length": "평균 길이",
}
LIBRARIES = {"sentence-similarity": "sentence-transformers"}
LICENSE_TAGS = {"CC0-1.0": "cc0-1.0", "CC-BY-SA-4.0": "cc-by-sa-4.0"}


def write_card(run: Any, task: str, pipeline_tag: str, usage: str, labels: list[str]) -> None:
    """Write README.md into the run's folder; it names no path of this machine and no token.

    The arguments are those of `Run.finish`.
    """
    arguments, data = run.record["arguments"], run.record["data"]
    name = run.args.hub_model_id or run.folder.resolve().name
    base = public_name(arguments["model_name_or_path"])
    scratch = arguments["from_scratch"]
    split = "test" if run.scores.get("test") else "validation"
    model_scores = run.scores.get(split, {})
    metadata = ModelCardData(
        language="ko",
        library_name=LIBRARIES.get(pipeline_tag, "transformers"),
        pipeline_tag=pipeline_tag,
        tags=["nlpbook-recipes", "generated_from_trainer"],
        license=LICENSE_TAGS.get(data["license"] or "") if scratch else None,
        base_model=base if base and not scratch and "/" in base else None,
        model_name=name.rsplit("/", 1)[-1],
        eval_results=[
            EvalResult(
                task_type=pipeline_tag,
                dataset_type=data["name"].replace(" ", "_"),
                dataset_name=data["name"],
                dataset_split=split,
                metric_type="f1" if metric.endswith("f1") else metric,
                metric_name=SHOWN[metric],
                metric_value=round(model_scores[metric], 4),
            )
            for metric in SHOWN
            if metric in model_scores
        ]
        or None,
    )
    origin = (
        "사전 학습 없이 **무작위 가중치에서** 학습했습니다 (random weights, no pretraining)"
        if scratch
        else f"`{base or '로컬 모델'}`을(를) 미세 조정했습니다"
    )
    facts = [
        f"말뭉치(corpus): {data['name']}"
        + (f", 라이선스 {data['license']}" if data["license"] else ""),
        *(
            f"{split}: {data['rows'][split]:,}행, 출처: {source}"
            for split, source in data["splits"].items()
            if split in data["rows"]
        ),
        f"선택 기준(selection): {_selection(run)}",
        f"시드(seeds): {', '.join(map(str, run.args.seeds or [run.args.seed]))}",
        f"장치(device): {run.record['device']}, 프로세스 {run.record['processes']}개, "
        f"{run.record['precision']}; 학습 {run.record['seconds'].get('training', 0):,.0f}초",
        "기준선(baselines): 같은 학습 자료로 학습하고 같은 코드로 채점",
    ]
    if "expected_calibration_error" in model_scores:
        facts.append(f"보정 오차(ECE): {model_scores['expected_calibration_error']:.4f}")
    if "passages" in model_scores:
        facts.append(f"검색 대상(passages): {model_scores['passages']:,}개, 학습 자료의 지문 포함")
    settings = ("learning_rate", "num_train_epochs", "max_steps", "lr_scheduler_type")
    sections = [
        f"# {name.rsplit('/', 1)[-1]}",
        f"{task} 모델입니다. {origin}.",
        *([f"레이블: {', '.join(labels[:50])}"] if labels else []),
        "## 성능 (Scores)",
        "\n".join(_score_table(run.scores, split)),
        "\n".join(f"- {fact}" for fact in facts),
        *_sample_sections(run),
        "## 사용법 (Usage)",
        f"```python\n{usage.replace('MODEL', name)}\n```",
        "## 설정 (Settings)",
        ", ".join(f"{key} = {arguments[key]}" for key in settings)
        + f", global batch = {run.record['global_batch']}, max_length = {run.record['max_length']}",
        ", ".join(f"{package} {number}" for package, number in run.record["versions"].items()),
        *(f"![{caption}]({file})" for file, caption in run.record.get("plots", {}).items()),
    ]
    content = f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"
    ModelCard(content).save(run.folder / "README.md")


def public_name(name: str | None) -> str | None:
    """Return the Hub name of a model, or None for a folder of this machine or of the package."""
    if not name or name.startswith((PACKAGE_PREFIX, "/", ".", "~")):
        return None
    return None if Path(name).exists() or name.count("/") > 1 else name


def _selection(run: Any) -> str:
    if not run.args.do_train:
        return "학습하지 않음 (evaluation alone)"
    if not run.args.load_best_model_at_end:
        return "마지막 가중치 (last weights)"
    metric = run.args.metric_for_best_model
    seeds = ", 검증 점수가 가장 좋은 시드를 저장" if run.args.seeds else ""
    return f"검증(validation) {metric}가 가장 좋은 체크포인트; test는 마지막에 한 번{seeds}"


def _sample_sections(run: Any) -> list[str]:
    """Return what the model wrote, by each method of decoding: one text a prompt, and scores."""
    path = run.folder / SAMPLES
    if not path.is_file():
        return []
    written, scores = json.loads(path.read_text(encoding="utf-8")), run.scores["samples"]
    names = [name for name in SAMPLE_SCORES if name in next(iter(scores.values()))]
    table = [f"| 생성 방법 | {' | '.join(SAMPLE_SCORES[name] for name in names)} |"]
    table.append("|---|" + "---|" * len(names))
    table += [
        f"| {method} | {' | '.join(f'{values[name]:.3f}' for name in names)} |"
        for method, values in scores.items()
    ]
    texts = ["| 생성 방법 | 프롬프트 | 이어 쓴 글 |", "|---|---|---|"]
    for method, rows in written.items():
        first = {row["prompt"]: row["text"] for row in reversed(rows)}
        for prompt in sorted(first)[:SAMPLE_PROMPTS]:
            texts.append(f"| {method} | {_cell(prompt)} | {_cell(first[prompt])} |")
    return ["## 생성 예 (Samples)", "\n".join(texts), "\n".join(table)]


def _cell(text: str) -> str:
    """Return `text` for a cell of a table: in one line, cut, and none of it markup."""
    line = " ".join(text.split())
    line = f"{line[:200]}…" if len(line) > 200 else line
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:@])", r"\\\1", html.escape(line, quote=False))


def _score_table(scores: Mapping[str, Any], split: str) -> list[str]:
    rows = score_rows(dict(scores), split)
    if not rows:
        return ["점수 없음 (no labelled split)"]
    names = [name for name in SHOWN if name in rows[0][1]]
    table = [f"| {split} | {' | '.join(SHOWN[name] for name in names)} |"]
    table.append("|---|" + "---|" * len(names))
    for label, values in rows:
        shown = [format_score(values, name) for name in names]
        table.append(f"| {label} | {' | '.join(shown)} |")
    return table
