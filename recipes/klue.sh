#!/usr/bin/env bash
# KLUE's tasks and their like with one model, one run after the other; at the end a table.
#     recipes/klue.sh klue/bert-base --seeds 1 2 3
# What follows the model goes to every run. A trial of a minute or two on what ships:
#     TASKS="paircls_klue_nli ner_klue" recipes/klue.sh package:models/tiny_encoder --from_scratch true \
#         --max_train_samples 64 --max_eval_samples 32 --max_predict_samples 32 --num_train_epochs 1
# TASKS: some of those below. QA_OPTIONS: for qa alone, such as "--stride 32" where a model takes 128 tokens.
# OUT: the folder of the runs. NLPBOOK_CORPORA: the folder of the raw corpora, if not ~/Korpora.
export ACCELERATE_LOG_LEVEL=error # without the defaults that accelerate chose
trap 'exit 130' INT # otherwise the next task would begin
model=${1:?Name a model: recipes/klue.sh MODEL [options]}
shift
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-outputs/klue/$(basename "$model")}
corpora=(${NLPBOOK_CORPORA:+--corpus_dir "$NLPBOOK_CORPORA"})
failed=()
for task in ${TASKS:-doccls_klue_ynat doccls_klue_re doccls_nsmc paircls_klue_nli paircls_klue_sts \
    paircls_korsts ner_klue qa_klue_mrc qa_korquad}; do
    recipe=${task%%_*}
    options=()
    if [ "$recipe" = qa ]; then read -ra options <<< "${QA_OPTIONS:-}"; fi
    echo "== $task" >&2
    accelerate launch --quiet "$here/$recipe.py" --config "$here/configs/$task.yaml" "${corpora[@]}" \
        --model_name_or_path "$model" --output_dir "$out/$task" --resume auto "$@" "${options[@]}" \
        || failed+=("$task")
done
[ ${#failed[@]} -eq 0 ] || echo "Not finished: ${failed[*]}. The same command goes on with them." >&2
nlpbook-data results "$out" --figure "$out/results.png" && [ ${#failed[@]} -eq 0 ]
