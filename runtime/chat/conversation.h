// A conversation with a model: its messages, and how much of them the engine has seen.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/chat_template.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/generate.h"
#include "runtime/generate/sampler.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

struct ConversationOptions {
  std::vector<std::string> stops{};  // end a reply, beside those of the template; not part of it
  int max_tokens = -1;               // of a reply; < 0: to the context's end
  bool ignore_eos = false;
  bool normalize = true;          // texts are brought into Unicode's form C, where the tokenizer does that
  bool shift = false;             // when the context is full, forget the oldest exchanges instead of stopping
  int prompt_part = 512;          // tokens fed at a time
  bool keeps_prompts = false;     // GenerationOptions::kept
  Speculation* drafts = nullptr;  // GenerationOptions::drafts
  const std::atomic<bool>* cancel = nullptr;
};

struct Reply {
  StopReason reason = StopReason::eos;
  int prompt_tokens = 0;  // of the whole conversation, rendered
  int fed_tokens = 0;     // of those, what was new to the engine
  int generated_tokens = 0;
  int forgotten_messages = 0;  // for lack of context
  double prompt_seconds = 0;
  double generation_seconds = 0;
};

// The messages do not fit into the context, and none can be forgotten.
struct ContextFull : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The engine's keys and values stay from turn to turn: what is fed is only what comes behind the longest
// common beginning of the conversation before and now. Every state of the engine is that of the messages
// rendered and encoded as a whole, so a conversation that is resumed goes on with the same bits.
class Conversation {
 public:
  Conversation(Engine& engine, const Tokenizer& tokenizer, Sampler& sampler, ChatTemplate chat_template,
               ConversationOptions options);

  const std::vector<Message>& messages() const { return messages_; }
  const ChatTemplate& chat_template() const { return template_; }
  int context() const { return engine_.context(); }  // in tokens
  std::size_t tokens_in_cache() const { return engine_.sequence().tokens().size(); }

  // Begins anew, with this system message; empty: none.
  void set_system(std::string text);
  // Begins anew, with the system message that there is.
  void reset();
  // Goes on from these messages.
  void resume(std::vector<Message> messages);

  // Adds a question and the model's reply, which `show` is given as it comes. A reply that is cancelled stays
  // as far as it came; where it had not begun, the question is not added. Throws std::runtime_error where the template
  // refuses the messages, and ContextFull; the question is not added then.
  using Show = std::function<void(std::string_view text)>;
  Reply say(std::string question, const Show& show);

 private:
  class Speech;

  std::optional<std::vector<TokenId>> fit(const std::vector<TokenId>& reply, Reply& result);
  std::optional<std::vector<TokenId>> fit_again(const std::vector<TokenId>& reply, Reply& result);
  bool forget_exchange();
  void generate_from(const std::vector<TokenId>& prompt, Speech& speech, Reply& result);

  Engine& engine_;
  const Tokenizer& tokenizer_;
  Sampler& sampler_;
  ChatTemplate template_;
  ConversationOptions options_;
  std::vector<Message> messages_;
  std::optional<Sequence> prompt_;  // the last one's
};

}  // namespace llamajit
