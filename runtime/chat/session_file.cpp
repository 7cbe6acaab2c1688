#include "runtime/chat/session_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "jit/inspect/sha256.h"
#include "runtime/base/file_replacement.h"
#include "runtime/base/mapped_file.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMagic = "llamajit session ";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kHashLength = 64;
constexpr std::size_t kMostShown = 60;

std::string hash_of(std::string_view text) {
  return jit::inspect::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string shape_of(const Config& c) {
  return fmt::format("dim {}, hidden {}, {} layers, {} heads, {} K/V heads of {}, vocabulary {}", c.dim,
                     c.hidden_dim, c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim(), c.vocab_size);
}

// JSON has UTF-8 only; a reply that was cut off may end within a character.
std::string well_formed(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t good = utf8_well_formed(text);
    out += text.substr(0, good);
    text.remove_prefix(good);
    const std::size_t bad = utf8_ill_formed(text);
    if (bad > 0) out += "\uFFFD";
    text.remove_prefix(bad);
  }
  return out;
}

// What a message lacks is left out, so that conversations without tools are as they always were.
Json json_of(const Message& message) {
  Json json = {{"role", well_formed(message.role)}, {"content", well_formed(message.content)}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) json[name] = well_formed(text);
  };
  add("reasoning_content", message.reasoning_content);
  add("tool_call_id", message.tool_call_id);
  add("name", message.name);
  for (const ToolCall& call : message.tool_calls) {
    json["tool_calls"].push_back({{"id", well_formed(call.id)},
                                  {"name", well_formed(call.name)},
                                  {"arguments", well_formed(call.arguments)}});
  }
  return json;
}

class SessionReader {
 public:
  explicit SessionReader(const std::string& path) : file_(path), path_(path) {}

  std::vector<Message> read(const SessionModel& model) const {
    const Json json = parse(checked_body());
    file_.check_intact();
    const Json& found = member(json, "model", Json::value_t::object);
    compare(found, "format", model.format);
    compare(found, "shape", model.shape);
    compare(found, "vocabulary", model.vocabulary);
    compare(found, "chat_template", model.chat_template);
    std::vector<Message> messages;
    for (const Json& message : member(json, "messages", Json::value_t::array)) {
      if (!message.is_object()) fail("messages", "objects", message.type_name());
      messages.push_back(read_message(message));
    }
    return messages;
  }

 private:
  Message read_message(const Json& json) const {
    Message message{member_text(json, "role"), member_text(json, "content")};
    if (json.contains("reasoning_content"))
      message.reasoning_content = member_text(json, "reasoning_content");
    if (json.contains("tool_call_id")) message.tool_call_id = member_text(json, "tool_call_id");
    if (json.contains("name")) message.name = member_text(json, "name");
    if (!json.contains("tool_calls")) return message;
    for (const Json& call : member(json, "tool_calls", Json::value_t::array)) {
      if (!call.is_object()) fail("tool_calls", "objects", call.type_name());
      message.tool_calls.push_back(
          {member_text(call, "id"), member_text(call, "name"), member_text(call, "arguments")});
    }
    return message;
  }

  [[noreturn]] void fail(std::string_view field, std::string_view expected, std::string_view found) const {
    throw std::runtime_error(fmt::format("{}: {}: expected {}, found {}", path_, field, expected, found));
  }

  static std::string shown(std::string_view text) {
    return fmt::format("'{}'", escaped(text.substr(0, kMostShown)));
  }

  std::string_view checked_body() const {
    std::string_view text(reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size());
    if (!text.starts_with(kMagic))
      fail("first line", "'llamajit session'", shown(text.substr(0, kMagic.size())));
    text.remove_prefix(kMagic.size());
    const std::string_view version = text.substr(0, text.find_first_of(" \n"));
    if (version != kVersion) fail("version", kVersion, shown(version));
    text.remove_prefix(version.size());
    if (text.size() < kHashLength + 2 || text[0] != ' ' || text[kHashLength + 1] != '\n') {
      fail("first line", "a SHA-256 behind the version", shown(text.substr(0, text.find('\n'))));
    }
    const std::string_view hash = text.substr(1, kHashLength);
    text.remove_prefix(kHashLength + 2);
    if (const std::string real = hash_of(text); hash != real) {
      fail("content", fmt::format("SHA-256 {} (the first line's)", escaped(hash)), real);
    }
    return text;
  }

  Json parse(std::string_view text) const {
    Json json = Json::parse(text, nullptr, false);
    if (!json.is_object())
      fail("content", "an object of JSON", json.is_discarded() ? "none" : json.type_name());
    return json;
  }

  const Json& member(const Json& object, const char* name, Json::value_t type) const {
    const auto found = object.find(name);
    if (found == object.end()) fail(name, Json(type).type_name(), "none");
    if (found->type() != type) fail(name, Json(type).type_name(), found->type_name());
    return *found;
  }

  std::string member_text(const Json& object, const char* name) const {
    return member(object, name, Json::value_t::string).get<std::string>();
  }

  void compare(const Json& found, const char* name, const std::string& expected) const {
    const std::string text = member_text(found, name);
    if (text != expected)
      fail(fmt::format("model.{}", name), fmt::format("'{}' (the model's)", expected), shown(text));
  }

  MappedFile file_;
  const std::string& path_;
};

}  // namespace

SessionModel describe_for_session(const ModelFile& model, const Vocab& vocab,
                                  const ChatTemplate& chat_template) {
  std::string pieces;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    pieces += fmt::format("{} {} ", static_cast<int>(vocab[id].kind), vocab[id].bytes.size());
    pieces += vocab[id].bytes;
  }
  return {model.file_format, shape_of(model.config), hash_of(pieces), hash_of(chat_template.source())};
}

void save_session(const std::string& path, const SessionModel& model, const std::vector<Message>& messages) {
  Json json;
  json["model"] = {{"format", model.format},
                   {"shape", model.shape},
                   {"vocabulary", model.vocabulary},
                   {"chat_template", model.chat_template}};
  json["messages"] = Json::array();
  for (const Message& message : messages) {
    json["messages"].push_back(json_of(message));
  }
  const std::string body = json.dump(1) + "\n";
  FileReplacement file(path);
  file.write(fmt::format("{}{} {}\n", kMagic, kVersion, hash_of(body)));
  file.write(body);
  file.commit();
}

std::string session_mark(const std::string& path) {
  std::error_code absent;
  if (!std::filesystem::is_regular_file(path, absent)) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string mark(kMagic.size() + kVersion.size() + 1 + kHashLength, '\0');
  file.read(mark.data(), static_cast<std::streamsize>(mark.size()));
  mark.resize(static_cast<std::size_t>(file.gcount()));
  return mark;
}

bool is_session_mark(std::string_view mark) {
  return mark.starts_with(kMagic);
}

std::vector<Message> load_session(const std::string& path, const SessionModel& model) {
  return SessionReader(path).read(model);
}

}  // namespace llamajit
