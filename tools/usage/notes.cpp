#include "tools/usage/notes.h"

#include <algorithm>
#include <array>

namespace llamajit::cli {
namespace {

constexpr std::string_view kText = "Text", kModels = "Models", kCode = "Generated code", kHelp = "Help";
constexpr std::array kSections = {kText, kModels, kCode, kHelp};

struct CommandNote {
  std::string_view command;
  std::string_view section;
};
constexpr std::array<CommandNote, 20> kCommands{{
    {"run", kText},       {"chat", kText},       {"serve", kText},      {"embed", kText},
    {"tokenize", kText},  {"perplexity", kText}, {"models", kModels},   {"inspect", kModels},
    {"convert", kModels}, {"imatrix", kModels},  {"quantize", kModels}, {"pack", kModels},
    {"ngrams", kModels},  {"kernels", kCode},    {"report", kCode},     {"bench", kCode},
    {"verify", kCode},    {"lesson", kHelp},     {"completion", kHelp}, {"man", kHelp},
}};

struct ExampleNote {
  std::string_view command;
  std::string_view what;
  std::string_view line;
};
constexpr ExampleNote kExamples[] = {
    {"", "A story by the bundled model", "llamajit run -p \"Once upon a time\""},
    {"", "A model of your own, and what it is to go on from", "llamajit model.gguf \"Once upon a time\""},
    {"", "A talk with it", "llamajit chat model.gguf"},
    {"", "All that a command takes", "llamajit run --help"},
    {"run", "The most likely text", "llamajit run model.gguf \"Once upon a time\""},
    {"run", "A bundled model by its name, another text each time",
     "llamajit run story \"Once upon a time\" --temp 0.8"},
    {"run", "The same text again", "llamajit run story \"Once upon a time\" --temp 0.8 --seed 1234"},
    {"run", "The text alone, of a prompt in a file", "llamajit run model.gguf -f prompt.txt --no-echo -q"},
    {"run", "JSON that is valid by a schema",
     "llamajit run model.gguf -f prompt.txt --json-schema schema.json"},
    {"run", "Sooner, and the same text: a smaller model guesses",
     "llamajit run model.gguf -f prompt.txt --model-draft small.gguf"},
    {"run", "A llama2.c checkpoint", "llamajit run stories260K.bin -z tok512.bin -p \"One day\" -n 40"},
    {"chat", "A talk with the bundled model", "llamajit chat"},
    {"chat", "One question, the reply alone",
     "llamajit chat model.gguf -p \"Who are you?\" --single-turn -q"},
    {"chat", "A conversation that is kept", "llamajit chat model.gguf --session talk.jsonl"},
    {"serve", "For this machine alone", "llamajit serve model.gguf"},
    {"serve", "For others that have a key, eight texts at once",
     "llamajit serve model.gguf --host 0.0.0.0 --api-key-file keys.txt --parallel 8"},
    {"embed", "A vector of a text", "llamajit embed model.gguf -p \"Once upon a time\""},
    {"embed", "Of each line of a file", "llamajit embed model.gguf -f lines.txt > vectors.jsonl"},
    {"tokenize", "The tokens of a text, one a line", "llamajit tokenize model.gguf -p \"Once upon a time\""},
    {"tokenize", "Their numbers", "echo -n \"One day\" | llamajit tokenize -z tok512.bin --ids"},
    {"inspect", "Metadata and tensors of a file", "llamajit inspect model.gguf"},
    {"inspect", "One value of them", "llamajit inspect model.gguf --json | jq .metadata"},
    {"models", "What comes with the program", "llamajit models"},
    {"kernels", "What each kernel costs", "llamajit kernels model.gguf"},
    {"kernels", "The machine code of some, in a new folder",
     "llamajit kernels model.gguf --only 'matvec*' --out code"},
    {"report", "A page for the browser", "llamajit report model.gguf -o report.html"},
    {"bench", "Prefill and decode on one thread and on two", "llamajit bench model.gguf -t 1,2"},
    {"bench", "A text with drafts and without", "llamajit bench model.gguf --model-draft small.gguf"},
    {"bench", "A kernel alone", "llamajit bench --kernel q8_0:2048x2048"},
    {"verify", "On every tier that this CPU has", "llamajit verify model.gguf"},
    {"perplexity", "Of a text", "llamajit perplexity model.gguf -f text.txt"},
    {"perplexity", "What quantising lost",
     "llamajit perplexity model.gguf -f text.txt --save-logits logits && "
     "llamajit perplexity q4.gguf -f text.txt --kl-base logits"},
    {"quantize", "Weights of about 4.5 bits", "llamajit quantize model.gguf q4.gguf Q4_K_M"},
    {"quantize", "Of less than 4 bits, with what llamajit imatrix measured",
     "llamajit quantize model.gguf q3.gguf Q3_K_M --imatrix imatrix.gguf"},
    {"quantize", "A mix of 4 bits a weight, chosen by what a text's predictions lose",
     "llamajit quantize model.gguf mix.gguf --target-bits 4 --kl-text text.txt"},
    {"imatrix", "Of a text", "llamajit imatrix model.gguf -f text.txt -o imatrix.gguf"},
    {"pack", "So that later starts need not pack", "llamajit pack model.gguf"},
    {"ngrams", "Of a text that those to come are like", "llamajit ngrams -m model.gguf code.txt code.ngrams"},
    {"convert", "A llama2.c checkpoint with its tokenizer",
     "llamajit convert stories260K.bin stories260K.gguf -z tok512.bin"},
    {"lesson", "The list of lessons", "llamajit lesson"},
    {"lesson", "A dot product of your numbers", "llamajit lesson dot 2 3 -- 4 5"},
    {"completion", "For this bash alone", "source <(llamajit completion bash)"},
    {"completion", "For zsh, in a folder of its fpath",
     "llamajit completion zsh > ~/.local/share/zsh/site-functions/_llamajit"},
    {"completion", "For fish", "llamajit completion fish > ~/.config/fish/completions/llamajit.fish"},
    {"man", "Read it where it is not installed", "llamajit man > llamajit.1 && man ./llamajit.1"},
};

constexpr VariableNote kVariables[] = {
    {"LLAMAJIT_MODELS", "MODEL", "A folder that is searched first for models that are bundled, or named"},
    {"LLAMAJIT_ISA", "--isa", "The instruction tier, where --isa does not name one"},
    {"LLAMAJIT_GDB", "--gdb", "1: as --gdb; a folder: as --gdb=DIR; 0: never show the kernels to gdb"},
    {"XDG_RUNTIME_DIR", "--gdb", "Where listings for gdb lie while the program runs"},
    {"XDG_CACHE_HOME", "--tune", "Where llamajit/ keeps what --tune measured; default: ~/.cache"},
    {"XDG_STATE_HOME", "--session", "Where llamajit/ keeps the history of lines; default: ~/.local/state"},
    {"NO_COLOR", "--no-color", "Set and not empty: no colours, unless --color asks for them"},
    {"LC_ALL, LC_MESSAGES, LANG", "--lang", "Where they begin with ko, lessons are in Korean"},
};

}  // namespace

std::span<const VariableNote> variable_notes() {
  return kVariables;
}

std::span<const std::string_view> command_sections() {
  return kSections;
}

std::string command_section(std::string_view command) {
  const auto* const found = std::ranges::find(kCommands, command, &CommandNote::command);
  return std::string(found == kCommands.end() ? kHelp : found->section);
}

std::vector<Example> examples_of(std::string_view command) {
  std::vector<Example> examples;
  for (const ExampleNote& note : kExamples) {
    if (note.command == command) examples.push_back({std::string(note.what), std::string(note.line)});
  }
  return examples;
}

}  // namespace llamajit::cli
