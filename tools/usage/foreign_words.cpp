#include "tools/usage/foreign_words.h"

#include <algorithm>

namespace llamajit::cli {
namespace {

using enum ForeignAnswer;
using Value = ForeignWord::Value;

// The order counts: a command that has an alias's option takes it, the others go on to the next row.
const std::vector<ForeignWord> kWords = {
    {{"-ctk", "--cache-type-k", "-ctv", "--cache-type-v"}, alias, Value::one, "--kv-type"},
    {{"--temperature"}, alias, Value::one, "--temp"},
    {{"--predict"}, alias, Value::one, "--n-predict"},
    {{"-sys", "--system-prompt"}, alias, Value::one, "--system"},
    {{"--no-display-prompt"}, alias, Value::none, "--no-echo"},
    {{"-co"}, alias, Value::none, "--color"},
    {{"--log-disable"}, alias, Value::none, "--quiet"},
    {{"-st"}, alias, Value::none, "--single-turn"},
    {{"-cnv", "--conversation", "-if", "--interactive-first", "-ins", "--instruct"},
     alias,
     Value::none,
     "--interactive"},
    {{"-?", "--usage"}, alias, Value::none, "--help"},
    {{"--grammar-file"}, alias, Value::one, "--grammar"},
    {{"-jf", "--json-schema-file"}, alias, Value::one, "--json-schema"},
    {{"-md", "--spec-draft-model"}, alias, Value::one, "--model-draft"},
    {{"-td"}, alias, Value::one, "--threads-draft"},
    {{"--draft-max", "--draft-n"}, alias, Value::one, "--draft"},
    {{"-mtp", "--multi-token-prediction"}, alias, Value::none, "--mtp"},

    {{"-st", "--single-turn", "-no-cnv", "--no-conversation"},
     unneeded,
     Value::none,
     "llamajit run goes on from one prompt, and llamajit chat talks"},
    {{"-cnv", "--conversation"}, unneeded, Value::none, "llamajit chat talks, and nothing else does"},
    {{"-ngl", "--gpu-layers", "--n-gpu-layers", "-sm", "--split-mode", "-ts", "--tensor-split", "-mg",
      "--main-gpu", "-dev", "--device", "-ot", "--override-tensor", "-ncmoe", "--n-cpu-moe"},
     unneeded,
     Value::one,
     "no GPU is used; every layer runs on the CPU"},
    {{"-nkvo", "--no-kv-offload", "-cmoe", "--cpu-moe", "--no-op-offload"},
     unneeded,
     Value::none,
     "no GPU is used; everything is on the CPU"},
    {{"-fa", "--flash-attn"},
     unneeded,
     Value::maybe,
     "there is one kind of attention here, which takes positions in ranges"},
    {{"--no-mmap", "--mmap"},
     unneeded,
     Value::none,
     "weights are always packed into memory of the process, once"},
    {{"-nr", "--no-repack"}, unneeded, Value::none, "weights are always packed for the kernels"},
    {{"--numa"}, unneeded, Value::one, "memory is placed as the system does it; numactl can say otherwise"},
    {{"--warmup", "--no-warmup"}, unneeded, Value::none, "there is no run before the first"},
    {{"--no-ppl"}, unneeded, Value::none, "llamajit perplexity measures that, and nothing else does"},
    {{"--output-frequency", "--save-frequency"},
     unneeded,
     Value::one,
     "the file is written when it is whole"},
    {{"-tb", "--threads-batch"}, unneeded, Value::one, "the same threads (-t) read the prompt"},
    {{"-ub", "--ubatch-size"}, unneeded, Value::one, "-b is the one size of a prompt's parts"},
    {{"-C", "--cpu-mask", "-Cr", "--cpu-range", "-Cb", "--cpu-mask-batch"},
     unneeded,
     Value::one,
     "taskset says which CPUs a program runs on"},
    {{"--prio", "--prio-batch", "--poll", "--poll-batch", "--cpu-strict"},
     unneeded,
     Value::one,
     "threads have the priority of the program; nice changes it"},
    {{"--jinja"}, unneeded, Value::none, "chat templates are always rendered, by an engine for Jinja"},
    {{"--no-escape"}, unneeded, Value::none, "a prompt is taken as it is, unless -e asks for escapes"},
    {{"--no-context-shift"}, unneeded, Value::none, "messages are forgotten only with chat --context-shift"},
    {{"--simple-io", "-mli", "--multiline-input", "--no-perf", "--show-timings", "--no-show-timings"},
     unneeded,
     Value::none,
     "it would change nothing here"},
    {{"--log-colors", "--log-prefix", "--log-timestamps", "--no-log-prefix", "--no-log-timestamps"},
     unneeded,
     Value::none,
     "what is logged is plain lines on standard error"},
    {{"-lv", "--verbosity", "--log-verbosity"}, unneeded, Value::one, "-v tells more, -q nothing"},
    {{"--log-file"}, unneeded, Value::one, "standard error has the log: 2>FILE keeps it"},
    {{"-np"}, alias, Value::one, "--parallel"},
    {{"-np", "--parallel", "-ns", "--sequences"}, unneeded, Value::one, "one text is generated at a time"},
    {{"-cb", "--cont-batching", "-nocb", "--no-cont-batching", "--swa-full", "-kvu", "--kv-unified"},
     unneeded,
     Value::none,
     "texts of a server are always taken together, and share what they have in common"},
    {{"--draft-min", "--draft-p-min", "--draft-p-split", "-ngld", "-devd", "-ctkd", "-ctvd"},
     unneeded,
     Value::one,
     "drafts are as long as pays, as measured, on the CPU; --draft N gives them a length"},
    {{"-dt", "--defrag-thold"}, unneeded, Value::one, "keys and values are never scattered"},
    {{"--check-tensors"}, unneeded, Value::none, "llamajit verify checks a model"},

    {{"-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-hft", "--hf-token", "-mu", "--model-url", "-dr",
      "--docker-repo"},
     refused,
     Value::one,
     "models are not downloaded; expected a file that is there already, or a model of llamajit models"},
    {{"--mirostat",           "--mirostat-lr",    "--mirostat-ent",   "--typical",     "--tfs",
      "--xtc-probability",    "--xtc-threshold",  "--dry-multiplier", "--dry-base",    "--dry-allowed-length",
      "--dry-penalty-last-n", "--dynatemp-range", "--dynatemp-exp",   "--top-nsigma",  "--presence-penalty",
      "--frequency-penalty",  "--samplers",       "--sampling-seq",   "--sampler-seq", "-l",
      "--logit-bias"},
     refused,
     Value::one,
     "draws are made by --temp, --top-k, --top-p, --min-p and --repeat-penalty, and by nothing else"},
    {{"-j"}, refused, Value::one, "a JSON schema is read from a file: llamajit run --json-schema FILE"},
    {{"--grammar", "--grammar-file", "--json-schema", "-jf", "--json-schema-file"},
     refused,
     Value::one,
     "llamajit run alone holds its text to a grammar"},
    {{"--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled"},
     refused,
     Value::one,
     "adapters are not read; merge them into the model's file"},
    {{"--rope-scaling", "--rope-scale", "--rope-freq-base", "--rope-freq-scale", "--yarn-orig-ctx",
      "--yarn-ext-factor", "--yarn-attn-factor", "--yarn-beta-slow", "--yarn-beta-fast", "--override-kv"},
     refused,
     Value::one,
     "the model's file alone says how it computes"},
    {{"-mm", "--mmproj", "--image", "--audio"}, refused, Value::one, "models read text alone"},
    {{"--prompt-cache", "--keep"},
     refused,
     Value::one,
     "there is no cache of prompts; chat --session keeps a conversation"},
    {{"--host", "--port"}, refused, Value::one, "llamajit serve answers over HTTP"},
};

}  // namespace

const ForeignWord* find_foreign_word(std::string_view name, const std::vector<std::string>& options) {
  for (const ForeignWord& word : kWords) {
    if (std::ranges::count(word.names, name) == 0) continue;
    if (word.answer != alias || std::ranges::count(options, word.text) > 0) return &word;
  }
  return nullptr;
}

std::span<const ForeignWord> foreign_words() {
  return kWords;
}

}  // namespace llamajit::cli
