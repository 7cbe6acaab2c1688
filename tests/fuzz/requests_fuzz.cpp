// Requests for each endpoint of the server, without a network: a path, and a body. They are answered by a small model,
// soon, and never with 500.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include <spdlog/spdlog.h>

#include "runtime/files/gguf_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/toy_model.h"
#include "tools/serve/router.h"

namespace llamajit::fuzz {
namespace {

using namespace serve;

// What is to run on the network's thread, which is the one that waits for an answer's end. Of an answer that is over
// something may come still: the next one's wait runs it.
class Network {
 public:
  void post(std::function<void()> run) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(run));
    came_.notify_one();
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return !posted_.empty(); });
    const std::function<void()> run = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    run();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> posted_;
};

class Connection : public HttpExchange {
 public:
  explicit Connection(Network& network) : network_(network) {}

  void add_header(const std::string& /*name*/, const std::string& /*value*/) override {}
  void send(HttpReply reply) override {
    expect(status_ == 0, "two answers");
    status_ = reply.status;
    over_ = true;
  }
  void begin(const HttpReply& head) override {
    expect(status_ == 0, "two answers");
    status_ = head.status;
  }
  void write(std::string_view /*bytes*/) override {
    expect(status_ != 0 && !over_, "text outside of an answer");
  }
  void end() override { over_ = true; }
  void break_off() override { report("an answer broke off"); }
  void on_gone(std::function<void()> /*gone*/) override {}
  void on_quiet(int /*seconds*/, std::function<void()> /*tick*/) override {}
  void post(std::function<void()> run) override { network_.post(std::move(run)); }

  // The answer's status.
  int wait() {
    while (!over_) network_.run_one();
    return status_;
  }

 private:
  Network& network_;
  int status_ = 0;
  bool over_ = false;
};

std::string model_file() {
  std::vector<std::string> pieces{"<unk>", "<s>", "</s>", "\u2581"};
  for (char c = '!'; c <= '~'; ++c) pieces.emplace_back(1, c);
  for (const char* const more : {"\n", "ab", "\":", "{\"", "\"}", "\u2581a"}) pieces.emplace_back(more);
  auto w = llama_gguf(
      test::random_weights(test::toy_config(32, 32, 1, 2, 1, static_cast<int>(pieces.size()), 48, false), 7),
      test::kF32);
  add_llama_tokenizer(w, pieces);
  return w.content();
}

struct Server {
  Network network;
  InputFile source{model_file()};
  ModelFile file = read_gguf_model(GgufFile(source.path()));
  std::unique_ptr<Tokenizer> tokenizer = read_gguf_tokenizer(GgufFile(source.path()));
  ChatTemplate chat_template{*find_named_template("chatml")};
  Scheduler scheduler{
      file, {{jit::host_tiers().back()}, 1, 48, {}, {}, {}, 3}, tokenizer->vocab().special(), {.slots = 3}};
  Service service{.model = "m",
                  .aliases = {},
                  .created = 1,
                  .file = file,
                  .tokenizer = *tokenizer,
                  .chat_template = chat_template,
                  .scheduler = scheduler,
                  .fingerprint = "f",
                  .tool_form = find_tool_form(chat_template, tokenizer.get()),
                  .grammars = GrammarCache(tokenizer->vocab())};
  Router router{service, {}, [](const std::function<void()>& read) { read(); }};
};

constexpr std::string_view kPaths[] = {"/v1/chat/completions",
                                       "/v1/completions",
                                       "/v1/responses",
                                       "/v1/embeddings",
                                       "/api/chat",
                                       "/api/generate",
                                       "/api/embed",
                                       "/api/embeddings",
                                       "/api/show",
                                       "/api/pull",
                                       "/tokenize",
                                       "/detokenize",
                                       "/apply-template",
                                       "/v1/messages",
                                       "/v1/messages/count_tokens"};

}  // namespace

void run(std::string_view input) {
  static auto* const kServer = [] {
    spdlog::set_level(spdlog::level::off);
    return new Server;
  }();
  Recipe recipe(input);
  HttpRequest request;
  request.method = "POST";
  const std::size_t endpoint = recipe.pick(std::size(kPaths) + 1);
  if (endpoint < std::size(kPaths)) {
    request.path = kPaths[endpoint];
  } else {
    request.method = recipe.text();
    request.path = recipe.text();
    request.query = recipe.text();
    request.origin = recipe.text();
    request.host = recipe.text();
    request.authorization = recipe.text();
  }
  request.body = recipe.rest();
  auto connection = std::make_shared<Connection>(kServer->network);
  kServer->router.handle(std::move(request), connection);
  const int status = connection->wait();
  expect(status >= 200 && status < 500, "a fault of the server's own");
}

std::vector<std::string> seeds() {
  const auto of = [](char endpoint, const std::string& body) { return std::string(1, endpoint) + body; };
  const std::string messages =
      R"("messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}])";
  const std::string tools =
      R"("tools": [{"type": "function", "function": {"name": "add", "description": "Adds.",
      "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}])";
  return {
      of(0, "{" + messages +
                R"(, "max_tokens": 3, "temperature": 0.5, "seed": 7, "n": 2, "stream": true, "logprobs": true,
          "top_logprobs": 2, "stop": ["a", "b"], "stream_options": {"include_usage": true}})"),
      of(0, "{" + messages + ", " + tools + R"(, "tool_choice": "required", "max_tokens": 4})"),
      of(0, "{" + messages + R"(, "response_format": {"type": "json_schema", "json_schema": {"name": "n",
          "schema": {"type": "object"}}}, "max_tokens": 4, "chat_template_kwargs": {"enable_thinking": false}})"),
      of(0, "{" + messages +
                R"(, "grammar": "root ::= \"a\" | \"b\"", "logit_bias": {"5": -3}, "repeat_penalty": 1.1})"),
      of(1,
         R"({"prompt": ["ab", [4, 5, 6]], "max_tokens": 2, "logprobs": 1, "echo": true, "top_p": 0.9, "top_k": 5})"),
      of(1,
         R"({"prompt": "ab", "max_tokens": 2, "stream": true, "min_p": 0.1, "ignore_eos": true, "cache_prompt": false})"),
      of(2, R"({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
          {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{}"},
          {"type": "function_call_output", "call_id": "a", "output": "3"}], "max_output_tokens": 3, "stream": true})"),
      of(2, R"({"input": "hi", "instructions": "Be kind.", "max_output_tokens": 2, "metadata": {"k": "v"},
          "text": {"format": {"type": "json_object"}}, "reasoning": {"effort": "low"}})"),
      of(3, R"({"input": ["a b", "c"], "encoding_format": "base64", "dimensions": 4})"),
      of(4,
         "{" + messages +
             R"(, "stream": false, "options": {"num_predict": 2, "temperature": 0}, "format": "json", "think": true})"),
      of(5, R"({"prompt": "ab", "system": "s", "raw": true, "options": {"num_predict": 2, "stop": ["x"]}})"),
      of(6, R"({"input": ["a", "b"], "truncate": true})"),
      of(7, R"({"prompt": "a"})"),
      of(8, R"({"model": "m", "verbose": true})"),
      of(9, R"({"model": "m"})"),
      of(10, R"({"content": "a b", "add_special": true, "with_pieces": true})"),
      of(11, R"({"tokens": [1, 4, 5]})"),
      of(12, "{" + messages + ", " + tools + "}"),
      of(13,
         R"({"max_tokens": 4, "system": [{"type": "text", "text": "s"}], "stop_sequences": ["x"], "stream": true,
          "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]},
          {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": ""},
              {"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}}]},
          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "3"}]}],
          "tools": [{"name": "add", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}})"),
      of(13,
         R"({"max_tokens": 2, "messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "adaptive"},
          "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}})"),
      of(14, R"({"messages": [{"role": "user", "content": "hi"}]})"),
      of(15, joined({"GET", "/v1/models/m", "a=%41", "http://localhost", "localhost", "Bearer x", ""})),
  };
}

}  // namespace llamajit::fuzz
