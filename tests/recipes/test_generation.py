"""recipes/generation.py as users run it, on data that ships or that the test writes."""

import math
import re
import shlex
import subprocess
import sys

import pytest
import torch
import transformers
from conftest import REPOSITORY
from safetensors.torch import load_file
from saved import pretrained
from tasks import DECODER
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
from writing import Run, kogpt2, read_json, read_rows, write_rows

from nlpbook_data.reports.push import pushed_files

TINY = [*DECODER, "--num_train_epochs 1 --output_dir o"]
REVIEWS = "--corpus sample_reviews --max_train_samples 48 --max_predict_samples 20"
PUSHED = {
    *("README.md", "config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "metrics.json", "learning_curve.png"),
}
KEPT = {"run.json", "predictions.jsonl", "errors.jsonl", "samples.json", "samples_by_step.jsonl"}
METHODS = [
    *("greedy", "beam", "top-k", "top-p", "temperature", "repetition penalty", "no-repeat n-gram"),
]


def test_the_packaged_setting_trains_samples_scores_and_leaves_everything(fork_recipe, tmp_path):
    few = "--max_train_samples 64 --max_eval_samples 20 --max_predict_samples 40"
    options = "--num_train_epochs 1 --precision float32 --samples_per_prompt 2"
    result = fork_recipe("generation", few, options).expect()
    run = result.run
    assert run.files == PUSHED | KEPT and set(pushed_files(run.folder)) == PUSHED
    scores, rows = run.scores, run.rows
    assert {f"{n}-grams of characters" for n in range(1, 6)} == set(scores["baselines"])
    assert {row["prompt"] for row in rows} == {"긍정", "부정"}
    bits = sum(row["loss"] for row in rows) / math.log(2)
    characters = sum(len(row["completion"]) for row in rows)  # the blank before the text too
    assert scores["test"]["bits_per_character"] == pytest.approx(bits / characters)
    for word in ("bits/character", "perplexity", "5-grams of characters"):
        assert word in result.stdout

    # a text alone, without padding, has the loss that it had in its batch
    model = AutoModelForCausalLM.from_pretrained(run.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    for row in rows[::20]:
        prompt, text = (tokenizer(row[name])["input_ids"] for name in ("prompt", "completion"))
        ids = torch.tensor([[tokenizer.bos_token_id, *prompt, *text, tokenizer.eos_token_id]])
        if ids[0, :2].tolist() == [1, 1]:  # the tokenizer writes the start itself
            ids = torch.tensor([[*prompt, *text[1:], tokenizer.eos_token_id]])
        labels = ids[0, -row["tokens"] :]
        with torch.no_grad():
            probabilities = model(ids).logits[0].log_softmax(dim=1)[-row["tokens"] - 1 : -1]
        alone = -probabilities.gather(1, labels[:, None]).double().mean().item()
        assert alone == pytest.approx(row["loss"] / row["tokens"], abs=1e-5)

    written = read_json(run / "samples.json")
    assert list(written) == METHODS == list(scores["samples"])
    assert {row["prompt"] for row in written["beam"]} == {"긍정", "부정"}
    assert len(read_rows(run / "samples_by_step.jsonl")) == 4  # two methods, two prompts
    write = pipeline("text-generation", model=str(run))
    assert write.model.generation_config.max_new_tokens == 64
    assert write.model.generation_config.eos_token_id == tokenizer.eos_token_id
    [[found]] = write(["긍정"], return_full_text=False, do_sample=False)
    greedy = next(row["text"] for row in written["greedy"] if row["prompt"] == "긍정")
    assert found["generated_text"] == greedy
    for said in ("생성 예", "vllm serve", "| no-repeat n-gram | "):
        assert said in run.card
    assert str(tmp_path) not in run.card


def test_plain_texts_are_learnt_whole_and_lose_nothing(fork_recipe, tmp_path):
    texts = [f"{n}번째 " + "아주 긴 글입니다. " * (n % 9) for n in range(60)]
    (tmp_path / "글.txt").write_text("\n\n".join(texts), encoding="utf-8")
    options = "--train_file 글.txt --max_length 16"
    run = fork_recipe("generation", *TINY, options).expect().run
    dropped = run.record["dropped"]
    assert set(dropped) == {"train", "validation", "test"}
    assert {number for split in dropped.values() for number in split.values()} == {0}
    assert read_json(run / "samples.json")["greedy"][0]["prompt"] == ""
    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    for row in run.rows:
        ids = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        assert row["tokens"] == len(ids) + 1  # and the end of text, once


def test_prompts_alone_are_continued_and_what_is_cut_is_said(fork_recipe, tmp_path):
    rows = [{"prompt": f"{n % 7} ", "completion": "대답 " * (n % 5 * 6 + 1)} for n in range(60)]
    rows += [{"prompt": f"질문 {n} " * 12, "completion": "대답"} for n in range(6)]
    write_rows(tmp_path / "train.jsonl", rows)
    write_rows(tmp_path / "test.jsonl", [{"prompt": row["prompt"]} for row in rows[:5]])
    files = "--train_file train.jsonl --validation_file train.jsonl --test_file test.jsonl"
    options = "--max_length 16 --baselines true"
    result = fork_recipe("generation", *TINY, files, options).expect()
    assert [row["prompt"] for row in result.run.rows] == [row["prompt"] for row in rows[:5]]
    assert all(isinstance(row["prediction"], str) for row in result.run.rows)
    dropped = result.run.record["dropped"]
    assert dropped["train"] == dropped["validation"]
    assert 24 <= dropped["train"]["texts"] <= 48 and dropped["train"]["rows"] == 6
    assert "6 rows are left out whose prompt alone is" in result.stderr


def test_questions_are_prompts_of_answers(fork_recipe, tmp_path):
    rows = [{"question": f"{n}시야?", "answer": f"네, {n}시예요"} for n in range(60)]
    write_rows(tmp_path / "train.jsonl", rows)
    for row in fork_recipe("generation", *TINY, "--train_file train.jsonl").expect().run.rows:
        assert row["prompt"].endswith("시야?\n") and row["completion"].startswith("네, ")


def test_a_judge_says_how_often_the_label_is_the_one_that_was_asked_for(fork_recipe, tmp_path):
    head = {"id2label": {0: "부정", 1: "긍정"}, "label2id": {"부정": 0, "긍정": 1}}
    auto = transformers.AutoModelForSequenceClassification
    judge = pretrained(tmp_path / "judge", auto=auto.__name__, **head)
    model = auto.from_pretrained(judge)
    with torch.no_grad():
        model.classifier.bias += torch.tensor([0.0, 100.0])  # everything is 긍정 to it
    model.save_pretrained(tmp_path / "judge")
    command = ["generation", *TINY, REVIEWS, "--judge judge"]
    prompts = ["긍정", "긍정 배우", "부정"]
    run = fork_recipe(*command, "--sample_prompts", *prompts).expect().run
    for values in run.scores["samples"].values():
        assert values["agreement"] == pytest.approx(2 / 3)
        assert values["per_label"]["부정"] == {"agreement": 0.0, "support": 2}
    assert "레이블 일치" in run.card

    other = [*command, "--output_dir p"]
    result = fork_recipe(*other, "--sample_prompts 배우")
    assert result.error.startswith("--judge judge: the prompt '배우' asks for no label")
    model.config.id2label = {0: "부정", 1: "중립"}
    model.save_pretrained(tmp_path / "judge")
    fork_recipe(*other).expect(1, "it knows 부정, 중립, and the data has 긍정")
    (tmp_path / "judge" / "model.safetensors").unlink()  # as export.py leaves it
    fork_recipe(*other).expect(1, "--judge judge: holds no model")


def test_lora_is_merged_or_saved_as_adapters_that_score_the_same(fork_recipe, tmp_path):
    sizes = {"n_positions": 64}
    base = pretrained(tmp_path / "decoder", "GPT2", "AutoModelForCausalLM", **sizes)
    few = f"{REVIEWS} --precision float32 --max_new_tokens 8"
    command = ["generation", few, "--model_name_or_path", base, "--lora true --baselines false"]
    command += ["--learning_rate 1e-2 --num_train_epochs 1"]
    merged = fork_recipe(*command, "--output_dir merged").expect().run
    adapters = fork_recipe(*command, "--merge_lora false --output_dir adapters").expect().run
    assert (
        "adapter_model.safetensors" in adapters.files and "model.safetensors" not in adapters.files
    )
    assert not list(merged.folder.glob("adapter*"))
    losses = []
    for run in (merged, adapters):
        alone = ["--do_train false --model_name_or_path", run, "--output_dir", f"{run} again"]
        again = fork_recipe("generation", few, *alone).expect().run
        losses += [one.scores["test"]["loss"] for one in (run, again)]
    assert losses == pytest.approx([losses[0]] * 4, abs=1e-5)


def test_a_folder_as_kogpt2s_is_converted_and_trained_by_the_command_of_the_readme(
    fork_recipe, tmp_path
):
    kogpt2(tmp_path / "skt/kogpt2-base-v2")
    weights = tmp_path / "skt/kogpt2-base-v2/model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    rows = [{"question": f"오늘 날씨 {n} 어때?", "answer": "좋아요."} for n in range(40)]
    write_rows(tmp_path / "talk.jsonl", rows)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in readme.splitlines() if "generation.py" in line and "kogpt2" in line]
    options = shlex.split(line.partition("recipes/generation.py")[2])
    options += ["--max_steps", 2, "--precision", "float32", "--max_new_tokens", 8]
    options += ["--samples_per_prompt", 2, "--sample_prompts", "오늘 날씨 어때?"]

    result = fork_recipe("generation", *options)
    assert result.status == 1 and "python -c" in result.error, result.stderr
    convert = re.search(r"python -c (['\"]).*?\1", result.error)[0]
    subprocess.run([sys.executable, *shlex.split(convert)[1:]], cwd=tmp_path, check=True)
    fork_recipe("generation", *options).expect()
    rows = read_rows(tmp_path / "outputs/talk/predictions.jsonl")
    assert rows and all("날씨" in row["prompt"] for row in rows)  # blanks and Hangul are kept


def test_packed_rows_train_as_padded_ones(fork_recipe):
    still = "n_embd=32,n_layer=1,n_head=2,resid_pdrop=0.0,embd_pdrop=0.0,attn_pdrop=0.0"
    options = f"{REVIEWS} --learning_rate 1e-2 --per_device_train_batch_size 8"
    command = ["generation", *TINY, "--config_overrides", still, options]
    packed, padded = (
        fork_recipe(*command, "--packing", packing, "--output_dir", packing).expect().run
        for packing in ("true", "false")
    )
    assert packed.scores["test"] == pytest.approx(padded.scores["test"], rel=1e-5)
    assert packed.scores["test"]["loss"] < 7.5  # of ln 2000 = 7.6 it has learnt something
    assert packed.record["real_token_share"] == 1.0 > padded.record["real_token_share"]


def test_of_several_seeds_the_one_with_the_fewest_bits_is_saved(fork_recipe):
    run = fork_recipe("generation", *TINY, REVIEWS, "--seeds 1 2").expect().run
    seeds = {seed: Run(run / f"seed-{seed}").scores for seed in (1, 2)}
    best = min(seeds, key=lambda seed: seeds[seed]["validation"]["bits_per_character"])
    assert run.scores["seeds"]["saved"] == best
    assert run.scores["samples"] == seeds[best]["samples"]
