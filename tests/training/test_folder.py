"""The folder of a run."""

from types import SimpleNamespace

from nlpbook_data.training.folder import RunFolder


def test_what_a_killed_run_had_half_written_is_deleted(tmp_path):
    (tmp_path / ".errors.jsonl.123.partial").write_text("{")
    (tmp_path / ".tmpunY7HG").write_text("half of the weights, as safetensors names them")
    (tmp_path / ".notes").write_text("mine")
    args = SimpleNamespace(
        output_dir=tmp_path,
        resume="auto",
        do_train=True,
        load_best_model_at_end=False,
        process_index=0,
    )
    folder = RunFolder(args)
    folder.open({"status": "running"})
    folder.close()
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {".notes", "run.json"}
