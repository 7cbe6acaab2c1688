// llamajit inspect: what is in a model file.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/llama2c.h"
#include "runtime/forward/token_costs.h"
#include "tokenizer/utf8.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/printable.h"

namespace llamajit::cli {
namespace {

using Json = nlohmann::ordered_json;

// Of the figures: what most models have by default.
constexpr jit::ElementType kKvType = jit::ElementType::f16;

// The report is the same for every file, whatever its format.
struct FileReport {
  std::string path;
  std::string format;
  std::uint64_t size = 0;  // bytes, of all parts
  std::size_t parts = 1;
  Json facts;  // the configuration, or the metadata
  struct Row {
    std::string name;
    std::vector<std::int64_t> shape;  // the innermost last
    std::string format;
    std::size_t part;
    std::uint64_t offset;  // within the part
    std::size_t bytes;
  };
  std::vector<Row> tensors;
  std::string refusal;  // why it cannot run here; empty where it can
  std::optional<TokenCosts> costs;
  jit::RouteKey route{0, 0};  // of its experts, where it has any
};

FileReport describe_llama2c(const std::string& path) {
  const ModelFile file = read_llama2c(path);
  const Config& c = file.config;
  const auto bytes = file.parts.front().bytes();
  FileReport report{path, file.file_format, bytes.size(), 1, Json::object(), {}, {}, {}, {0, 0}};
  report.facts = {{"dim", c.dim},
                  {"hidden_dim", c.hidden_dim},
                  {"n_layers", c.n_layers},
                  {"n_heads", c.n_heads},
                  {"n_kv_heads", c.n_kv_heads},
                  {"head_dim", c.head_dim()},
                  {"vocab_size", c.vocab_size},
                  {"seq_len", c.seq_len},
                  {"classifier", c.shared_classifier ? "shared with the embedding" : "its own"}};
  for (const Tensor* tensor : file.tensors()) {
    std::vector<std::int64_t> shape{tensor->cols};
    if (tensor->rows > 1) shape.insert(shape.begin(), tensor->rows);
    report.tensors.push_back({tensor->name, shape, to_string(tensor->format), 0,
                              static_cast<std::uint64_t>(tensor->data.data() - bytes.data()),
                              tensor->bytes()});
  }
  file.check_intact();
  return report;
}

Json json_of(const GgufScalar& value) {
  // 1e-05, not the double next to it.
  if (const auto* f32 = std::get_if<float>(&value)) return std::stod(fmt::to_string(*f32));
  return std::visit([](const auto& v) { return Json(v); }, value);
}

Json json_of(const GgufArray& array) {
  Json json = Json::array();
  if (array.type == GgufType::array) {
    for (const GgufArray& inner : array.arrays) json.push_back(json_of(inner));
  } else {
    for (std::uint64_t i = 0; i < array.size; ++i) json.push_back(json_of(array[i]));
  }
  return json;
}

// What a token of the model costs that `read` makes of the file, or why it cannot make one.
template <class File>
void add_costs(File file, ModelFile (*read)(File), FileReport& report) {
  try {
    const ModelFile model = read(std::move(file));
    report.costs = token_costs(model, kKvType);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      if (model.config.layer(i).has_experts()) report.route = model.config.layer(i).route;
    }
  } catch (const std::runtime_error& error) {
    report.refusal = error.what();
  }
}

FileReport describe_gguf(const std::string& path) {
  GgufFile file(path);
  FileReport report{
      path,  fmt::format("GGUF v{}", file.version()), 0, file.parts().size(), Json::object(), {}, {}, {},
      {0, 0}};
  for (const MappedFile& part : file.parts()) report.size += part.bytes().size();
  // Keys are known to be different: an object would look through all that it has for each.
  auto& facts = report.facts.get_ref<Json::object_t&>();
  for (const GgufEntry& entry : file.metadata()) {
    facts.emplace_back(entry.key, std::visit([](const auto& value) { return json_of(value); }, entry.value));
  }
  for (const GgufTensor& tensor : file.tensors()) {
    const auto dims = std::span(tensor.dims).first(static_cast<std::size_t>(tensor.n_dims));
    report.tensors.push_back({std::string(tensor.name),
                              {dims.rbegin(), dims.rend()},
                              std::string(tensor.type->name),
                              tensor.part,
                              tensor.offset,
                              tensor.data.size()});
  }
  file.check_intact();
  add_costs(std::move(file), read_gguf_model, report);
  return report;
}

FileReport describe_ggml_legacy(const std::string& path) {
  GgmlLegacyFile file(path);
  const GgmlLegacyHeader& h = file.header();
  FileReport report{path, "ggml legacy", 0, file.parts().size(), Json::object(), {}, {}, {}, {0, 0}};
  for (const MappedFile& part : file.parts()) report.size += part.bytes().size();
  report.facts = {{"n_vocab", h.n_vocab}, {"n_embd", h.n_embd},    {"n_mult", h.n_mult},
                  {"n_head", h.n_head},   {"n_layer", h.n_layer},  {"n_rot", h.n_rot},
                  {"ftype", h.ftype},     {"n_ff", h.hidden_dim()}};
  for (const GgmlLegacyTensor& tensor : file.tensors()) {
    std::vector<std::int64_t> shape{tensor.cols};
    if (tensor.n_dims > 1) shape.insert(shape.begin(), tensor.rows);
    report.tensors.push_back({std::string(tensor.name), shape, to_string(tensor.format), tensor.part,
                              tensor.offset, tensor.data.size()});
  }
  file.check_intact();
  add_costs(std::move(file), read_ggml_legacy_model, report);
  return report;
}

FileReport describe(const std::string& path) {
  if (is_gguf(path)) return describe_gguf(path);
  if (is_ggml_legacy(path)) return describe_ggml_legacy(path);
  return describe_llama2c(path);
}

std::int64_t parameters(const FileReport& report) {
  std::int64_t sum = 0;
  for (const FileReport::Row& row : report.tensors) {
    std::int64_t product = 1;
    for (const std::int64_t n : row.shape) product *= n;
    sum += product;
  }
  return sum;
}

std::string as_json(const FileReport& report) {
  Json tensors = Json::array();
  for (const FileReport::Row& row : report.tensors) {
    tensors.push_back({{"name", row.name},
                       {"shape", row.shape},
                       {"format", row.format},
                       {"part", row.part + 1},
                       {"offset", row.offset},
                       {"bytes", row.bytes}});
  }
  Json json = {{"file", report.path},   {"format", report.format},         {"size", report.size},
               {"parts", report.parts}, {"runs", report.refusal.empty()},  {"metadata", report.facts},
               {"tensors", tensors},    {"parameters", parameters(report)}};
  if (!report.refusal.empty()) json["refusal"] = report.refusal;
  if (report.costs) {
    json["token"] = {{"weight_bytes", report.costs->weights},
                     {"cache_bytes_per_position", report.costs->per_position},
                     {"window_bytes", report.costs->windows},
                     {"state_bytes", report.costs->states}};
    if (report.route.experts > 0) {
      json["token"]["experts"] = report.route.experts;
      json["token"]["experts_used"] = report.route.used;
    }
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The beginning of a value, on one line.
std::string shown(const Json& value) {
  constexpr std::size_t kLongest = 72;  // bytes of a text
  constexpr std::size_t kElements = 6;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const bool whole = text.size() <= kLongest;
    return escaped(whole ? text : text.substr(0, kLongest)) +
           (whole ? "" : fmt::format("… ({} bytes)", text.size()));
  }
  if (!value.is_array()) return value.dump();
  std::string list = fmt::format("{} of them: ", value.size());
  for (std::size_t i = 0; i < std::min(kElements, value.size()); ++i) {
    list += (i > 0 ? ", " : "") + shown(value[i]);
  }
  return value.size() > kElements ? list + ", …" : list;
}

std::string shape_of(const FileReport::Row& row) {
  return fmt::format("({})", fmt::join(row.shape, ", "));
}

std::string size_text(std::int64_t bytes) {
  const double kib = static_cast<double>(bytes) / 1024;
  return kib < 1024 ? fmt::format("{:.1f} KiB", kib) : fmt::format("{:.1f} MiB", kib / 1024);
}

std::string costs_text(const FileReport& report) {
  const TokenCosts& costs = *report.costs;
  std::string out = fmt::format("a token reads {} of weights", size_text(costs.weights));
  if (report.route.experts > 0) {
    out += fmt::format(", {} of {} experts; 8 tokens choose {:.1f} of them on average", report.route.used,
                       report.route.experts, experts_touched(report.route, 8));
  }
  out += fmt::format("\na text keeps  {} a position ({})", size_text(costs.per_position), to_string(kKvType));
  if (costs.windows > 0) out += fmt::format(", {} for windows", size_text(costs.windows));
  if (costs.states > 0) out += fmt::format(", {} of states", size_text(costs.states));
  return out + "\n";
}

std::string as_text(const FileReport& report) {
  std::string out = fmt::format("file          {}\nformat        {}\nsize          {} bytes{}\n",
                                printable(report.path), report.format, report.size,
                                report.parts > 1 ? fmt::format(" in {} parts", report.parts) : "");
  if (!report.refusal.empty()) out += fmt::format("runs          no: {}\n", printable(report.refusal));
  if (report.costs) out += costs_text(report);
  std::size_t key_width = 13;
  for (const auto& [key, value] : report.facts.items()) key_width = std::max(key_width, key.size());
  for (const auto& [key, value] : report.facts.items()) {
    out += fmt::format("{:<{}} {}\n", key, key_width, shown(value));
  }
  std::size_t name_width = 22;
  for (const FileReport::Row& row : report.tensors) name_width = std::max(name_width, row.name.size());
  out += fmt::format("\n{:<{}} {:>16} {:>10} {:>14} {:>14}{}\n", "tensor", name_width, "shape", "format",
                     "offset", "bytes", report.parts > 1 ? "   part" : "");
  for (const FileReport::Row& row : report.tensors) {
    out +=
        fmt::format("{:<{}} {:>16} {:>10} {:>14} {:>14}{}\n", row.name, name_width, shape_of(row), row.format,
                    row.offset, row.bytes, report.parts > 1 ? fmt::format(" {:>6}", row.part + 1) : "");
  }
  return out + fmt::format("\n{} tensors, {} parameters\n", report.tensors.size(), parameters(report));
}

struct InspectOptions {
  std::string model;
  bool json = false;
};

int inspect(const InspectOptions& options) {
  const FileReport report = describe(options.model);
  write_out(options.json ? as_json(report) : as_text(report));
  return kOk;
}

}  // namespace

void add_inspect(CLI::App& app, Command& command) {
  auto o = std::make_shared<InspectOptions>();
  CLI::App* sub = app.add_subcommand("inspect", "Show a model file's metadata and tensors");
  add_model(*sub, o->model, kModelText);
  sub->add_flag("--json", o->json, "Print JSON, with all values in full");
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return inspect(*o);
    };
  });
}

}  // namespace llamajit::cli
