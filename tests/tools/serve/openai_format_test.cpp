// Answers of /v1/completions, of tokens that no small model writes: parts of characters; and chunks of chats.
#include "tools/serve/openai_format.h"

#include <sstream>

#include <gmock/gmock.h>

namespace llamajit::serve::openai_format_test {
namespace {

using ::testing::ElementsAre;

Piece piece_of(const std::string& content, const std::vector<std::string>& tokens) {
  Piece piece;
  piece.content = content;
  for (const std::string& token : tokens) piece.logprobs.push_back({{token, -1}, {}});
  return piece;
}

CompletionFormat format_of(const std::vector<std::string>& echoes) {
  return {{"cmpl-1", 0, "story", "fingerprint", 1}, {}, echoes};
}

std::vector<int> offsets_of(const Json& choice) {
  return choice.at("logprobs").at("text_offset").get<std::vector<int>>();
}

std::vector<int> streamed_offsets(CompletionFormat& format, std::size_t choice, const Piece& piece) {
  const std::string event = format.piece(choice, piece);
  return offsets_of(Json::parse(event.substr(std::string("data: ").size())).at("choices").at(0));
}

// Clients index the text, a string of characters, with these.
TEST(CompletionOffsets, AreThoseOfCharactersOfTheWholeText) {
  CompletionFormat format = format_of({"", "\xED\x95\x9C!"});
  Choice plain, echoed;
  plain.whole = piece_of("\xC3\xA9 was", {"\xC3\xA9", " w", "as"});
  echoed.whole = piece_of("\xED\x95\x9C! was", {" w", "as"});
  const std::vector<Choice> choices = {plain, echoed};
  const Json answer = format.whole(choices);
  EXPECT_THAT(offsets_of(answer.at("choices").at(0)), ElementsAre(0, 1, 3));
  EXPECT_THAT(offsets_of(answer.at("choices").at(1)), ElementsAre(2, 4));
}

TEST(CompletionOffsets, GoOnFromChunkToChunkOfEachChoice) {
  CompletionFormat format = format_of({"", "ab"});
  EXPECT_THAT(streamed_offsets(format, 0, piece_of("One", {"One"})), ElementsAre(0));
  EXPECT_THAT(streamed_offsets(format, 1, piece_of("cde", {"c", "de"})), ElementsAre(2, 3));
  EXPECT_THAT(streamed_offsets(format, 0, piece_of(" day", {" day"})), ElementsAre(3));
  EXPECT_THAT(streamed_offsets(format, 1, piece_of("f", {"f"})), ElementsAre(5));
}

TEST(CompletionOffsets, OfPartsOfACharacterAreTheSame) {
  CompletionFormat format = format_of({""});
  EXPECT_THAT(streamed_offsets(format, 0, piece_of("a", {"a", "\xED"})), ElementsAre(0, 1));
  EXPECT_THAT(streamed_offsets(format, 0, piece_of("\xED\x95\x9C", {"\x95", "\x9C", "b"})),
              ElementsAre(1, 1, 2));
}

// Some clients read the first entry of a list alone.
TEST(ChatChunks, HaveOneCallEach) {
  ChatFormat format({"chatcmpl-1", 0, "story", "fingerprint", 1}, {}, 1);
  Piece piece;
  piece.content = "So:";
  piece.tools = {{0, "", "", "1}"}, {1, "call_b", "add", "{}"}, {2, "call_c", "now", ""}};
  std::istringstream events(format.piece(0, piece));
  std::vector<Json> deltas;
  for (std::string line; std::getline(events, line);) {
    if (line.empty()) continue;
    ASSERT_TRUE(line.starts_with("data: ")) << line;
    deltas.push_back(Json::parse(line.substr(6)).at("choices").at(0).at("delta"));
  }
  ASSERT_EQ(deltas.size(), 4);
  EXPECT_EQ(deltas[0], Json({{"content", "So:"}}));
  for (std::size_t i = 0; i < 3; ++i) {
    const Json& calls = deltas[i + 1].at("tool_calls");
    ASSERT_EQ(calls.size(), 1);
    EXPECT_EQ(calls[0]["index"], i);
    EXPECT_EQ(calls[0]["function"]["arguments"], piece.tools[i].arguments);
  }
}

}  // namespace
}  // namespace llamajit::serve::openai_format_test
