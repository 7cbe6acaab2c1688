#include "runtime/chat/conversation.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/numbers.h"
#include "runtime/generate/reply_stream.h"

namespace llamajit {

// The reply that is being made.
class Conversation::Speech {
 public:
  Speech(const Tokenizer& tokenizer, std::vector<std::string> stops, const Show& show)
      : tokenizer_(tokenizer), stream_(std::move(stops)), show_(show) {}

  void add(TokenId previous, TokenId token) {
    tokens_.push_back(token);
    say(stream_.push(tokenizer_.decode(previous, token)));
  }
  void finish() { say(stream_.finish()); }
  bool stopped() const { return stream_.stopped(); }
  const std::vector<TokenId>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }

 private:
  void say(const std::string& text) {
    text_ += text;
    if (!text.empty()) show_(text);
  }

  const Tokenizer& tokenizer_;
  ReplyStream stream_;
  const Show& show_;
  std::vector<TokenId> tokens_;
  std::string text_;
};

Conversation::Conversation(Engine& engine, const Tokenizer& tokenizer, Sampler& sampler,
                           ChatTemplate chat_template, ConversationOptions options)
    : engine_(engine),
      tokenizer_(tokenizer),
      sampler_(sampler),
      template_(std::move(chat_template)),
      options_(std::move(options)) {
  options_.stops.insert(options_.stops.end(), template_.stops().begin(), template_.stops().end());
}

void Conversation::set_system(std::string text) {
  messages_.clear();
  if (!text.empty()) messages_.push_back({"system", std::move(text)});
  reset();
}

void Conversation::reset() {
  std::erase_if(messages_, [](const Message& message) { return message.role != "system"; });
}

void Conversation::resume(std::vector<Message> messages) {
  messages_ = std::move(messages);
}

// The oldest question after the system message, with all up
// to the next one. False when none but the last is left.
bool Conversation::forget_exchange() {
  const auto is_question = [](const Message& message) { return message.role == "user"; };
  const auto first = std::ranges::find_if(messages_, is_question);
  if (first == messages_.end()) return false;
  const auto next = std::find_if(first + 1, messages_.end(), is_question);
  if (next == messages_.end()) return false;
  messages_.erase(first, next);
  return true;
}

// The conversation and the reply so far as tokens. Forgets what must be; nothing where that is not enough.
std::optional<std::vector<TokenId>> Conversation::fit(const std::vector<TokenId>& reply, Reply& result) {
  const auto context = static_cast<std::size_t>(engine_.context());
  bool forgets = false;
  for (;;) {
    std::vector<TokenId> tokens =
        encode_chat(template_, messages_, tokenizer_, options_.normalize, {}, options_.cancel);
    if (tokens.empty()) tokens.push_back(tokenizer_.vocab().special().bos);
    if (tokens.front() < 0) throw std::runtime_error("chat: expected text, found none");
    tokens.insert(tokens.end(), reply.begin(), reply.end());
    // Once something is forgotten, a quarter of the context, so that not every turn has to forget again.
    if (tokens.size() <= (forgets ? context - context / 4 : context)) return tokens;
    const std::size_t before = messages_.size();
    if (options_.shift && forget_exchange()) {
      forgets = true;
      result.forgotten_messages += static_cast<int>(before - messages_.size());
    } else if (tokens.size() <= context) {
      return tokens;
    } else {
      result.prompt_tokens = static_cast<int>(tokens.size());
      return std::nullopt;
    }
  }
}

// The same in the middle of a reply. Where it is cancelled, the reply ends as one that is, and what was said stays.
std::optional<std::vector<TokenId>> Conversation::fit_again(const std::vector<TokenId>& reply,
                                                            Reply& result) {
  try {
    return fit(reply, result);
  } catch (const jinja::RenderingCancelled&) {
    result.reason = StopReason::cancelled;
    return std::nullopt;
  }
}

void Conversation::generate_from(const std::vector<TokenId>& prompt, Speech& speech, Reply& result) {
  GenerationOptions options;
  options.ends = ends_of(tokenizer_.vocab().special(), options_.ignore_eos);
  options.cancel = options_.cancel;
  options.drafts = options_.drafts;
  options.prompt_part = options_.prompt_part;
  if (options_.keeps_prompts) options.kept = &prompt_;
  options.complete = [&] { return speech.stopped(); };
  if (options_.max_tokens >= 0)
    options.max_tokens = options_.max_tokens - static_cast<int>(speech.tokens().size());
  TokenId previous = prompt.back();
  const Generation generation = generate(engine_, sampler_, prompt, options, [&](TokenId token) {
    speech.add(std::exchange(previous, token), token);
  });
  result.reason = generation.reason;
  result.prompt_tokens = generation.prompt_tokens;
  result.fed_tokens += generation.fed_tokens;
  result.prompt_seconds += generation.prompt_seconds;
  result.generation_seconds += generation.generation_seconds;
}

Reply Conversation::say(std::string question, const Show& show) {
  const std::vector<Message> before = messages_;
  messages_.push_back({"user", std::move(question)});
  Reply result;
  Speech speech(tokenizer_, options_.stops, show);
  try {
    auto prompt = fit({}, result);
    if (!prompt) {
      throw ContextFull(fmt::format("conversation: expected at most {} (the context), found {}",
                                    counted(engine_.context(), "token"), result.prompt_tokens));
    }
    do {
      generate_from(*prompt, speech, result);
      const bool goes_on = result.reason == StopReason::context_end && options_.shift;
      prompt = goes_on ? fit_again(speech.tokens(), result) : std::nullopt;
    } while (prompt);
    speech.finish();
  } catch (const jinja::RenderingCancelled&) {
    messages_ = before;
    result.reason = StopReason::cancelled;
    return result;
  } catch (...) {
    messages_ = before;
    throw;
  }
  result.generated_tokens = static_cast<int>(speech.tokens().size());
  messages_.push_back({"assistant", speech.text()});
  return result;
}

}  // namespace llamajit
