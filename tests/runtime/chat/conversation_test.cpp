// Conversations: what is fed, what is said, what is forgotten, what is kept in files.
#include "runtime/chat/conversation.h"

#include <memory>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/inspect/sha256.h"
#include "runtime/chat/session_file.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/tokenizer_bin.h"
#include "tests/support/program_fixture.h"
#include "tests/support/temp_file.h"
#include "tokenizer/bpe.h"
#include "tokenizer/spm.h"

namespace llamajit::conversation_test {
namespace {

using ::testing::HasSubstr;

// A model of random weights: what it says depends on all that it was told.
class ConversationTest : public ::testing::Test {
 protected:
  explicit ConversationTest(int context = 600)
      : model_file_(
            write_v1(test::random_weights(test::toy_config(32, 48, 2, 4, 2, 259, context, false), 5))),
        tokenizer_file_(test::tokenizer_file(test::byte_pieces())),
        model_(read_llama2c(model_file_.path())),
        tokenizer_(read_tokenizer_bin(tokenizer_file_.path(), 259)) {}

  // With an engine that has seen nothing.
  struct Chat {
    Engine engine;
    Sampler sampler;
    Conversation conversation;

    Chat(const ConversationTest& t, const ConversationOptions& options, const SamplerOptions& sampling = {})
        : engine(t.model_, {jit::host_tiers().back(), 1}),
          sampler(sampling, nullptr),
          conversation(engine, t.tokenizer_, sampler, ChatTemplate(*find_named_template("koalpaca-polyglot")),
                       options) {}
    std::string say(const std::string& question) {
      std::string said;
      last = conversation.say(question, [&](std::string_view text) { said += text; });
      return said;
    }
    std::optional<Reply> last;
  };
  Chat chat(const ConversationOptions& options = {.max_tokens = 12}) const { return {*this, options}; }

  test::TempFile model_file_;
  test::TempFile tokenizer_file_;
  ModelFile model_;
  SpmTokenizer tokenizer_;
};

TEST(EncodeChat, ComposesLettersWhereTheTokenizerDoesUnlessTold) {
  std::vector<Piece> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.push_back({std::string(1, static_cast<char>(byte))});
  const BpeTokenizer tokenizer(Vocab(std::move(pieces), {}), {}, *find_pre_tokenizer_rule("qwen2"));
  const ChatTemplate chat_template(*find_named_template("koalpaca-polyglot"));
  const auto encode = [&](const char* question, bool normalize) {
    return encode_chat(chat_template, std::vector<Message>{{"user", question}}, tokenizer, normalize);
  };
  EXPECT_EQ(encode("cafe\u0301", true), encode("caf\u00E9", false));
  EXPECT_NE(encode("cafe\u0301", false), encode("caf\u00E9", false));
}

TEST_F(ConversationTest, KeptKeysAndValuesChangeNothing) {
  Chat kept = chat();
  for (const char* question : {"one", "두 번째", "three"}) {
    Chat fresh = chat();
    fresh.conversation.resume(kept.conversation.messages());
    EXPECT_EQ(kept.say(question), fresh.say(question)) << question;
    EXPECT_EQ(kept.last->prompt_tokens, fresh.last->prompt_tokens);
    EXPECT_EQ(fresh.last->fed_tokens, fresh.last->prompt_tokens);
  }
}

// Whatever else the sampler was told of in between: a conversation that is taken up again is the one that went on.
TEST_F(ConversationTest, WhatIsPenalisedFollowsFromTheMessagesAlone) {
  const SamplerOptions penalises{.temperature = 0, .repeat_penalty = 1.5F};
  const auto new_chat = [&] { return Chat(*this, {.max_tokens = 12}, penalises); };
  Chat kept = new_chat();
  kept.say("one");
  const std::vector<Message> messages = kept.conversation.messages();
  for (const char* question : {"two", "three"}) {
    Chat fresh = new_chat();
    fresh.conversation.resume(messages);
    kept.conversation.resume(messages);
    EXPECT_EQ(kept.say(question), fresh.say(question)) << question;
  }
}

TEST_F(ConversationTest, OnlyWhatIsNewIsFed) {
  Chat kept = chat();
  kept.say(std::string(200, 'x'));
  EXPECT_EQ(kept.last->fed_tokens, kept.last->prompt_tokens);
  const std::size_t before = kept.conversation.tokens_in_cache();
  kept.say("y");
  EXPECT_LE(kept.last->fed_tokens, kept.last->prompt_tokens - 200);
  EXPECT_GE(kept.conversation.tokens_in_cache(), before);
  kept.conversation.reset();
  kept.say(std::string(200, 'x'));
  EXPECT_EQ(kept.last->fed_tokens, 1) << "all but the token whose logits are wanted is there still";
}

TEST_F(ConversationTest, ATurnThatDoesNotFitIsAsIfItHadNotBeen) {
  Chat kept = chat();
  kept.say("one");
  const std::vector<Message> before = kept.conversation.messages();
  EXPECT_THROW(kept.say(std::string(700, 'x')), std::runtime_error);
  EXPECT_EQ(kept.conversation.messages(), before);
  Chat fresh = chat();
  fresh.conversation.resume(before);
  EXPECT_EQ(kept.say("two"), fresh.say("two"));
}

TEST_F(ConversationTest, WhatIsCancelledStaysAsFarAsItCame) {
  std::atomic<bool> cancel{false};
  Chat kept = chat({.ignore_eos = true, .cancel = &cancel});
  std::string said;
  const Reply reply = kept.conversation.say("one", [&](std::string_view text) {
    said += text;
    cancel = said.size() > 5;
  });
  EXPECT_EQ(reply.reason, StopReason::cancelled);
  EXPECT_EQ(kept.conversation.messages().back(), (Message{"assistant", said}));
  cancel = false;
}

TEST_F(ConversationTest, AQuestionThatIsCancelledBeforeItIsReadIsAsIfItHadNotBeen) {
  std::atomic<bool> cancel{false};
  Chat kept = chat({.max_tokens = 12, .cancel = &cancel});
  kept.say("one");
  const std::vector<Message> before = kept.conversation.messages();
  cancel = true;
  EXPECT_EQ(kept.say("two"), "");
  EXPECT_EQ(kept.last->reason, StopReason::cancelled);
  EXPECT_EQ(kept.conversation.messages(), before);
  cancel = false;
  Chat fresh = chat();
  fresh.conversation.resume(before);
  EXPECT_EQ(kept.say("two"), fresh.say("two"));
}

class ShortConversation : public ConversationTest {
 protected:
  ShortConversation() : ConversationTest(160) {}
};

TEST_F(ShortConversation, WithoutShiftTheContextEndsTheReply) {
  Chat kept = chat({.ignore_eos = true});
  kept.say("one");
  EXPECT_EQ(kept.last->reason, StopReason::context_end);
  EXPECT_EQ(kept.last->forgotten_messages, 0);
}

TEST_F(ShortConversation, ShiftForgetsTheOldestTurnsButNotTheSystemMessage) {
  Chat kept = chat({.max_tokens = 20, .shift = true});
  kept.conversation.set_system("be brief");
  int forgotten = 0;
  for (int i = 0; i < 12; ++i) {
    kept.say("question " + std::to_string(i));
    forgotten += kept.last->forgotten_messages;
    const std::vector<Message>& messages = kept.conversation.messages();
    EXPECT_EQ(messages.front(), (Message{"system", "be brief"}));
    EXPECT_EQ(messages[messages.size() - 2].content, "question " + std::to_string(i));
    EXPECT_LE(kept.conversation.tokens_in_cache(), 160U);
  }
  EXPECT_GT(forgotten, 10);
}

TEST_F(ShortConversation, ShiftGoesOnWithinAReply) {
  Chat kept = chat({.max_tokens = 100, .ignore_eos = true, .shift = true});
  kept.say("one");
  kept.say("two");
  EXPECT_EQ(kept.last->reason, StopReason::max_tokens);
  EXPECT_EQ(kept.last->generated_tokens, 100);
  EXPECT_GT(kept.last->forgotten_messages, 0);
}

TEST_F(ShortConversation, AReplyLongerThanTheContextEndsThere) {
  Chat kept = chat({.ignore_eos = true, .shift = true});
  kept.say("one");
  EXPECT_EQ(kept.last->reason, StopReason::context_end);
  EXPECT_EQ(kept.conversation.messages().size(), 2U) << "what was said stays";
}

TEST_F(ConversationTest, SessionsComeBackAsTheyWere) {
  const ChatTemplate alpaca(*find_named_template("alpaca"));
  const SessionModel model = describe_for_session(model_, tokenizer_.vocab(), alpaca);
  test::TempFile file("");
  const std::vector<Message> messages{
      {"system", "한글 \"quoted\"\n"},
      {"user", "👍\\"},
      {"assistant", "", "thought", {{"abcdefghi", "f", "{\"a\": 1}"}, {"abcdefghj", "g", ""}}},
      {"tool", "7", "", {}, "abcdefghi", "f"},
      {"assistant", ""}};
  save_session(file.path(), model, messages);
  EXPECT_EQ(load_session(file.path(), model), messages);
  save_session(file.path(), model, {{"assistant", "cut \xED\x95"}});
  EXPECT_EQ(load_session(file.path(), model)[0].content, "cut \uFFFD");
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(ConversationTest, DamagedSessionsAreRefused) {
  const ChatTemplate alpaca(*find_named_template("alpaca"));
  const SessionModel model = describe_for_session(model_, tokenizer_.vocab(), alpaca);
  test::TempFile file("");
  save_session(file.path(), model, {{"user", "hello"}});
  const auto size = std::filesystem::file_size(file.path());
  for (std::size_t bit = 0; bit < size * 8; ++bit) {
    file.flip_bit(bit);
    const std::string error = error_of([&] { load_session(file.path(), model); });
    EXPECT_THAT(error, HasSubstr(file.path() + ": ")) << bit;
    EXPECT_THAT(error, HasSubstr("expected")) << bit;
    file.flip_bit(bit);
  }
  EXPECT_EQ(load_session(file.path(), model).size(), 1U);
  for (std::size_t n = size - 1; n > 0; --n) {
    file.resize(n);
    EXPECT_THAT(error_of([&] { load_session(file.path(), model); }), HasSubstr("expected")) << n;
  }
}

// Whoever can write a file can write its hash, too.
TEST_F(ConversationTest, SessionsOfTheRightHashMayStillBeWrong) {
  const ChatTemplate alpaca(*find_named_template("alpaca"));
  const SessionModel model = describe_for_session(model_, tokenizer_.vocab(), alpaca);
  test::TempFile file("");
  const auto error_with = [&](const std::string& body) {
    const auto hash = jit::inspect::sha256({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
    file.write("llamajit session 1 " + hash + "\n" + body);
    return error_of([&] { load_session(file.path(), model); });
  };
  EXPECT_EQ(error_with("{"), file.path() + ": content: expected an object of JSON, found none");
  EXPECT_EQ(error_with("[]"), file.path() + ": content: expected an object of JSON, found array");
  EXPECT_EQ(error_with("{}"), file.path() + ": model: expected object, found none");
  EXPECT_EQ(error_with(R"({"model": 1})"), file.path() + ": model: expected object, found number");
  const std::string known = fmt::format(
      R"({{"model": {{"format": "{}", "shape": "{}", "vocabulary": "{}", "chat_template": "{}"}})",
      model.format, model.shape, model.vocabulary, model.chat_template);
  EXPECT_EQ(error_with(known + "}"), file.path() + ": messages: expected array, found none");
  EXPECT_EQ(error_with(known + R"(, "messages": [1]})"),
            file.path() + ": messages: expected objects, found number");
  EXPECT_EQ(error_with(known + R"(, "messages": [{"role": "user"}]})"),
            file.path() + ": content: expected string, found none");
  EXPECT_EQ(error_with(known + R"(, "messages": [{"role": null, "content": ""}]})"),
            file.path() + ": role: expected string, found null");
  const std::string message = known + R"(, "messages": [{"role": "", "content": "", )";
  EXPECT_EQ(error_with(message + R"("tool_calls": 1}]})"),
            file.path() + ": tool_calls: expected array, found number");
  EXPECT_EQ(error_with(message + R"("tool_calls": [1]}]})"),
            file.path() + ": tool_calls: expected objects, found number");
  EXPECT_EQ(error_with(message + R"("tool_calls": [{"id": ""}]}]})"),
            file.path() + ": name: expected string, found none");
  EXPECT_EQ(error_with(known + R"(, "messages": []})"), "no error");
}

TEST_F(ConversationTest, SessionsOfOtherModelsAreRefused) {
  const ChatTemplate alpaca(*find_named_template("alpaca"));
  const SessionModel model = describe_for_session(model_, tokenizer_.vocab(), alpaca);
  test::TempFile file("");
  save_session(file.path(), model, {{"user", "hello"}});
  SessionModel other = model;
  other.shape = "dim 1";
  EXPECT_THAT(error_of([&] { load_session(file.path(), other); }),
              HasSubstr("model.shape: expected 'dim 1' (the model's), found 'dim 32, hidden 48"));
  other = describe_for_session(model_, tokenizer_.vocab(), ChatTemplate(*find_named_template("chatml")));
  EXPECT_THAT(error_of([&] { load_session(file.path(), other); }), HasSubstr("model.chat_template"));
  file.write("llamajit session 2 " + std::string(64, '0') + "\n{}");
  EXPECT_THAT(error_of([&] { load_session(file.path(), model); }),
              HasSubstr("version: expected 1, found '2'"));
  file.write("GGUF");
  EXPECT_THAT(error_of([&] { load_session(file.path(), model); }), HasSubstr("expected 'llamajit session'"));
}

}  // namespace
}  // namespace llamajit::conversation_test
