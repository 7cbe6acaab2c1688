// llamajit inspect: what is in a model file.
#include <memory>

#include <fmt/format.h>

#include "runtime/llama2c.h"
#include "tools/cli.h"

namespace llamajit::cli {
namespace {

std::string header(const ModelFile& file) {
  const Config& c = file.config;
  std::string out = fmt::format("file          {}\nformat        {}\nsize          {} bytes\n",
                                file.file.path(), file.file_format, file.parts.front().bytes().size());
  const auto row = [&](std::string_view name, const auto& value) {
    out += fmt::format("{:<13} {}\n", name, value);
  };
  row("dim", c.dim);
  row("hidden_dim", c.hidden_dim);
  row("n_layers", c.n_layers);
  row("n_heads", c.n_heads);
  row("n_kv_heads", c.n_kv_heads);
  row("head_dim", c.head_dim());
  row("vocab_size", c.vocab_size);
  row("seq_len", c.seq_len);
  row("classifier", c.shared_classifier ? "shared with the embedding" : "its own");
  return out;
}

int inspect(const std::string& path) {
  const ModelFile file = read_llama2c(path);
  std::string out = header(file);
  out +=
      fmt::format("\n{:<22} {:>16} {:>10} {:>14} {:>14}\n", "tensor", "shape", "format", "offset", "bytes");
  std::int64_t parameters = 0;
  for (const Tensor* tensor : file.tensors()) {
    parameters += tensor->rows * tensor->cols;
    const std::string shape = tensor->rows == 1 ? fmt::format("({})", tensor->cols)
                                                : fmt::format("({}, {})", tensor->rows, tensor->cols);
    out += fmt::format("{:<22} {:>16} {:>10} {:>14} {:>14}\n", tensor->name, shape, to_string(tensor->format),
                       tensor->data.data() - file.parts.front().bytes().data(), tensor->bytes());
  }
  out += fmt::format("\n{} tensors, {} parameters\n", file.tensors().size(), parameters);
  file.check_intact();
  write_out(out);
  return kOk;
}

}  // namespace

void add_inspect(CLI::App& app, Command& command) {
  auto model = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("inspect", "Show a model file's header and tensors");
  sub->add_option("MODEL", *model, "A llama2.c checkpoint")->required();
  sub->callback([model, &command] { command = [model] { return inspect(*model); }; });
}

}  // namespace llamajit::cli
