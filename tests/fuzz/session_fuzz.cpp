// Sessions: files with any first line, and such whose hash is right, so that what is behind it is read.
#include "jit/inspect/sha256.h"
#include "runtime/chat/session_file.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

const SessionModel kModel{"GGUF", "dim 8", "ab", "cd"};

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  const bool hashed = recipe.pick(8) != 0;
  std::string content(recipe.rest());
  if (hashed) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(content.data());
    content = "llamajit session 1 " + jit::inspect::sha256({bytes, content.size()}) + "\n" + content;
  }
  const InputFile file(content);
  succeeds([&] { load_session(file.path(), kModel); });
}

std::vector<std::string> seeds() {
  const std::string model =
      R"({"model": {"format": "GGUF", "shape": "dim 8", "vocabulary": "ab", "chat_template": "cd"},)";
  return {
      "\1" + model + R"("messages": [{"role": "user", "content": "hi"}]})",
      "\1" + model + R"("messages": [{"role": "assistant", "content": "", "reasoning_content": "Hm.",
          "tool_calls": [{"id": "a", "name": "add", "arguments": "{}"}]},
          {"role": "tool", "content": "3", "tool_call_id": "a", "name": "add"}]})",
      std::string(1, '\0') + "llamajit session 1 " + std::string(64, '0') + "\n" + model +
          "\"messages\": []}",
  };
}

}  // namespace llamajit::fuzz
