#!/usr/bin/env bash
# Three models on four sample tasks, three seeds each, and a table of them: benchmarks/models.{md,json,png}
#     benchmarks/models.sh [options of every run, such as --max_steps 2]
# TASKS: some of those below. OUT, TABLES: the folders of the runs and of the tables.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-outputs/models}
tables=${TABLES:-$here/benchmarks}
run() { # NAME, then what names the model; each task as its own YAML has it but for the model
    local name=$1 task
    shift
    for task in ${TASKS:-doccls paircls ner qa}; do
        accelerate launch "$here/recipes/$task.py" --config "$here/recipes/configs/$task.yaml" \
            --seeds 1 2 3 --resume auto --output_dir "$out/$name/$task" "$@" "${options[@]}"
    done
}
options=("$@")
run encoder --model_name_or_path package:models/encoder
run random --model_name_or_path package:models/encoder --from_scratch true --learning_rate 1e-3
run tiny --model_name_or_path package:models/tiny_encoder --from_scratch true --learning_rate 1e-3 \
    --tokenizer_name package:models/encoder --config_overrides max_position_embeddings=512,vocab_size=8000
compare=(--compare encoder "encoder (random weights)")
nlpbook-data results "$out" "${compare[@]}" --figure "$tables/models.png" --format markdown > "$tables/models.md"
nlpbook-data results "$out" "${compare[@]}" --format json > "$tables/models.json"
cat "$tables/models.md"
