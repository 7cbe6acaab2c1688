// GET /api/tags, /api/ps and /api/version, POST /api/show, and what would change which models there are:
// https://github.com/ollama/ollama/blob/main/docs/api.md
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "jit/inspect/sha256.h"
#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/ollama_format.h"
#include "tools/serve/ollama_request.h"
#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

// Of the API that is spoken here, by which clients choose what they ask for: thoughts and streams of calls are in it.
constexpr std::string_view kOllamaVersion = "0.9.0";
// The model stays. The last year whose nanoseconds since 1970 a signed 64-bit number holds.
constexpr std::string_view kNever = "2262-01-01T00:00:00Z";

// Ollama's have a tag, always.
std::string tagged_name(const Service& service) {
  return service.model.find(':') == std::string::npos ? service.model + ":latest" : service.model;
}

std::int64_t file_bytes(const ModelFile& file) {
  std::int64_t bytes = 0;
  for (const MappedFile& part : file.parts) bytes += static_cast<std::int64_t>(part.bytes().size());
  return bytes;
}

// Clients show its beginning and compare it. The file's own would take long for a large one.
std::string digest(const Service& service) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(service.fingerprint.data());
  return jit::inspect::sha256({bytes, service.fingerprint.size()});
}

// "GGUF v3 (qwen2)" is of the family qwen2; other formats hold llama alone.
std::string family(const ModelFile& file) {
  const std::string& format = file.file_format;
  const std::size_t open = format.find('(');
  if (!format.starts_with("GGUF") || open == std::string::npos) return "llama";
  return format.substr(open + 1, format.find(')') - open - 1);
}

std::int64_t parameter_count(const ModelFile& file) {
  std::int64_t count = 0;
  for (const Tensor* const tensor : file.tensors()) count += tensor->rows * tensor->cols;
  return count;
}

std::string parameter_size(std::int64_t count) {
  const auto number = static_cast<double>(count);
  if (number >= 1e9) return fmt::format("{:.1f}B", number / 1e9);
  if (number >= 1e6) return fmt::format("{:.2f}M", number / 1e6);
  return fmt::format("{:.0f}K", number / 1e3);
}

// The format of most weights.
std::string quantization_level(const ModelFile& file) {
  std::map<std::string, std::int64_t> weights;
  for (const Tensor* const tensor : file.tensors()) {
    weights[jit::to_string(tensor->format)] += tensor->rows * tensor->cols;
  }
  const auto most = std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; });
  std::string name = most->first;
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return name;
}

Json details(const Service& service) {
  const ModelFile& file = service.file;
  const bool gguf = file.file_format.starts_with("GGUF");
  return {{"parent_model", ""},
          {"format", gguf ? "gguf" : file.file_format},
          {"family", family(file)},
          {"families", Json::array({family(file)})},
          {"parameter_size", parameter_size(parameter_count(file))},
          {"quantization_level", quantization_level(file)}};
}

Json entry(const Service& service) {
  const std::string name = tagged_name(service);
  return {{"name", name},
          {"model", name},
          {"size", file_bytes(service.file)},
          {"digest", digest(service)},
          {"details", details(service)}};
}

std::string modified_at(const Service& service) {
  return rfc3339(std::chrono::system_clock::time_point(std::chrono::seconds(service.created)));
}

Json capabilities(const Service& service) {
  if (service.file.config.pooling) return Json::array({"embedding"});
  Json list = Json::array({"completion"});
  if (service.chat_template.source().find("tools") != std::string::npos) list.push_back("tools");
  return list;
}

// Named as in GGUF files. The context is the one that requests have, which clients take for the model's limit.
Json model_info(const Service& service) {
  const Config& config = service.file.config;
  const std::string family_name = family(service.file);
  const auto key = [&](const char* name) { return fmt::format("{}.{}", family_name, name); };
  return {{"general.architecture", family_name},
          {"general.basename", service.model},
          {"general.parameter_count", parameter_count(service.file)},
          {key("attention.head_count"), config.n_heads},
          {key("attention.head_count_kv"), config.n_kv_heads},
          {key("block_count"), config.n_layers},
          {key("context_length"), service.scheduler.engine().context()},
          {key("embedding_length"), config.dim},
          {key("feed_forward_length"), config.hidden_dim},
          {key("vocab_size"), config.vocab_size}};
}

// The lines of a Modelfile's parameters, each begun with `before`.
std::string parameters(const Service& service, std::string_view before) {
  std::string text = fmt::format("{}{:<30} {}\n", before, "num_ctx", service.scheduler.engine().context());
  for (const std::string& stop : service.chat_template.stops()) {
    text += fmt::format("{}{:<30} {}\n", before, "stop", json_string(stop));
  }
  return text;
}

}  // namespace

HttpReply ollama_tags(const Service& service) {
  Json model = entry(service);
  model["modified_at"] = modified_at(service);
  return json_reply({{"models", Json::array({std::move(model)})}});
}

HttpReply ollama_running(const Service& service) {
  Json model = entry(service);
  model["expires_at"] = kNever;
  model["size_vram"] = 0;
  model["context_length"] = service.scheduler.engine().context();
  return json_reply({{"models", Json::array({std::move(model)})}});
}

HttpReply ollama_version() {
  return json_reply({{"version", kOllamaVersion}, {"llamajit", LLAMAJIT_VERSION}});
}

HttpReply ollama_show(const Service& service, const HttpRequest& request) {
  const Json body = parse_object(request.body);
  read_ollama_model(Fields(body), service);
  const std::string& source = service.chat_template.source();
  const std::string modelfile = fmt::format("FROM {}\nTEMPLATE \"\"\"{}\"\"\"\n{}", service.model, source,
                                            parameters(service, "PARAMETER "));
  return json_reply({{"modelfile", modelfile},
                     {"parameters", parameters(service, "")},
                     {"template", source},
                     {"details", details(service)},
                     {"model_info", model_info(service)},
                     {"capabilities", capabilities(service)},
                     {"modified_at", modified_at(service)}});
}

HttpReply ollama_refusal(const Service& service, const HttpRequest& request) {
  if (request.path.starts_with("/api/blobs/")) {
    throw ApiError(404, fmt::format("{}: expected none: this server keeps no blobs", request.path));
  }
  throw ApiError(400,
                 fmt::format("{}: expected nothing that changes which models there are: this server has {}, "
                             "with which it was started",
                             request.path, json_string(service.model)));
}

}  // namespace llamajit::serve
