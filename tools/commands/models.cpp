// llamajit models: what comes with the program, and what was found beside it.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/files/gguf.h"
#include "tokenizer/utf8.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/printable.h"

namespace llamajit::cli {
namespace {

using Json = nlohmann::ordered_json;

struct FoundModel {
  std::string path;
  std::uint64_t size = 0;  // bytes, of all parts
  std::string family;
  std::string format;  // of the matrices: what most weights have first
  std::uint64_t parameters = 0;
  std::string purpose;
  bool is_default = false;  // it is taken where none is named
  std::string refusal;      // why it cannot be read; empty where it can
};

std::uint64_t elements(const GgufTensor& tensor) {
  std::uint64_t product = 1;
  for (const std::int64_t dim : tensor.dims) product *= static_cast<std::uint64_t>(dim);
  return product;
}

std::string format_of(const GgufFile& file) {
  std::map<std::string_view, std::uint64_t> weights;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.n_dims > 1) weights[tensor.type->name] += elements(tensor);
  }
  std::vector<std::pair<std::uint64_t, std::string_view>> most_first;
  most_first.reserve(weights.size());
  for (const auto& [name, count] : weights) most_first.emplace_back(count, name);
  std::ranges::sort(most_first, std::greater());
  std::string text;
  for (const auto& [count, name] : most_first) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

void describe(const GgufFile& file, FoundModel& model) {
  for (const MappedFile& part : file.parts()) model.size += part.bytes().size();
  for (const GgufTensor& tensor : file.tensors()) model.parameters += elements(tensor);
  model.family = escaped(file.string("general.architecture").value_or("?"));
  model.format = format_of(file);
  model.purpose = escaped(file.string("general.description").value_or(""));
  file.check_intact();
}

// A file that cannot be read is listed, too, and says why.
std::vector<FoundModel> describe_all(const std::vector<std::filesystem::path>& paths) {
  std::vector<FoundModel> models;
  for (const std::filesystem::path& path : paths) {
    FoundModel& model = models.emplace_back();
    model.path = path.string();
    model.is_default = path.filename() == kBundledModel;
    try {
      describe(GgufFile(model.path), model);
    } catch (const std::runtime_error& error) {
      model.refusal = error.what();
    }
  }
  return models;
}

std::string as_json(const std::vector<FoundModel>& models) {
  Json list = Json::array();
  for (const FoundModel& m : models) {
    Json row = {{"name", std::filesystem::path(m.path).stem().string()}, {"path", m.path}};
    if (m.refusal.empty()) {
      row.update({{"bytes", m.size},
                  {"family", m.family},
                  {"format", m.format},
                  {"parameters", m.parameters},
                  {"purpose", m.purpose},
                  {"default", m.is_default}});
    } else {
      row["refusal"] = m.refusal;
    }
    list.push_back(std::move(row));
  }
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string as_text(const std::vector<FoundModel>& models) {
  std::string out;
  for (const FoundModel& m : models) {
    const std::string name = printable(std::filesystem::path(m.path).stem().string());
    if (m.refusal.empty()) {
      out += fmt::format("{}{}\n  {}\n  {:.1f} million parameters, {:.2f} MB, {}, {}\n", name,
                         m.is_default ? " (the default)" : "", m.purpose.empty() ? "?" : m.purpose,
                         static_cast<double>(m.parameters) / 1e6, static_cast<double>(m.size) / 1e6, m.family,
                         m.format);
    } else {
      out += fmt::format("{}\n  cannot be read: {}\n", name, printable(m.refusal));
    }
    out += fmt::format("  {}\n", printable(m.path));
  }
  return out;
}

int models(bool json, bool names) {
  const std::vector<ModelFolder> folders = model_folders();
  if (names) {
    std::string out;
    for (const std::string& name : bundled_names()) out += printable(name) + '\n';
    write_out(out);
    return kOk;
  }
  const std::vector<FoundModel> found = describe_all(find_models(folders));
  if (found.empty()) bundled_model(folders);  // says where there should have been one
  write_out(json ? as_json(found) : as_text(found));
  return kOk;
}

}  // namespace

void add_models(CLI::App& app, Command& command) {
  auto json = std::make_shared<bool>(false), names = std::make_shared<bool>(false);
  CLI::App* sub =
      app.add_subcommand("models", "List the models that come with the program, and those beside them");
  auto* print_json = sub->add_flag("--json", *json, "Print JSON");
  sub->add_flag("--names", *names, "Print what they are called alone, one a line")->excludes(print_json);
  sub->callback([json, names, &command] { command = [json, names] { return models(*json, *names); }; });
}

}  // namespace llamajit::cli
