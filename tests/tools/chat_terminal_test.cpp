// llamajit chat in a terminal.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>
#include <tuple>

#include <fmt/format.h>

#include "tests/support/chat_fixture.h"
#include "tests/support/pseudo_terminal.h"

namespace llamajit::test::chat_terminal_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";
constexpr const char* kUp = "\x1B[A";
constexpr const char* kPasteIsTold = "\x1B[?2004h";  // written when a line is about to be read

class ChatTerminal : public ChatTest {
 protected:
  explicit ChatTerminal(int context = 4000, bool endless = false) : ChatTest(context, endless) {}

  std::unique_ptr<PseudoTerminal> open(
      std::vector<std::string> more = {},
      std::vector<std::pair<std::string, std::string>> environment = {}) const {
    environment.emplace_back("XDG_STATE_HOME", directory_.path());
    environment.emplace_back("HOME", directory_.path());
    more.insert(more.begin(), {"--template", "koalpaca-polyglot"});
    auto terminal = std::make_unique<PseudoTerminal>(command(std::move(more)), environment);
    EXPECT_TRUE(terminal->wait_for(kPasteIsTold)) << terminal->screen();
    return terminal;
  }
  static void leave(PseudoTerminal& terminal) {
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.finish(), 0) << terminal.screen();
  }
  // Returns what was said, from a saved session.
  std::string saved() const {
    std::ifstream file(directory_.path() + "/saved");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Waits for the answer to the first message, leaves, and holds the message against JSON's text of it.
  void expect_said(PseudoTerminal& terminal, const std::string& message) const {
    EXPECT_TRUE(terminal.wait_for("한글\r\n")) << terminal.screen();
    EXPECT_TRUE(terminal.wait_for(kPasteIsTold));
    terminal.type("/save " + directory_.path() + "/saved\r");
    EXPECT_TRUE(terminal.wait_for("2 messages")) << terminal.screen();
    leave(terminal);
    EXPECT_THAT(saved(), HasSubstr(message));
  }
};

TEST_F(ChatTerminal, KoreanIsTypedShownAndAnswered) {
  const auto terminal = open();
  terminal->type("안녕하세요");
  EXPECT_TRUE(terminal->wait_for("안녕하세요")) << terminal->screen();
  terminal->type("?\r");
  expect_said(*terminal, "\"안녕하세요?\"");
}

TEST_F(ChatTerminal, AWholeSyllableIsDeletedAtOnce) {
  const auto terminal = open();
  terminal->type("가나다\x7F\x7F라\r");
  expect_said(*terminal, "\"가라\"");
}

TEST_F(ChatTerminal, TheFirstCtrlCClearsTheLineAndTheSecondLeaves) {
  const auto terminal = open();
  terminal->type("half a wo");
  EXPECT_TRUE(terminal->wait_for("wo"));
  terminal->type(kCtrlC);
  EXPECT_TRUE(terminal->wait_for("Ctrl-C again leaves")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("whole\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type(kCtrlC);
  EXPECT_TRUE(terminal->wait_for("Ctrl-C again leaves")) << "what came between counts";
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type(kCtrlC);
  EXPECT_EQ(terminal->finish(), 130);
}

// Whoever writes last must not take the other's conversation away.
TEST_F(ChatTerminal, TwoChatsWithOneSessionLoseNothing) {
  const std::string session = directory_.path() + "/saved";
  const auto terminal = open({"--session", session});
  terminal->type("first\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  const auto other = open({"--session", session});
  other->type("of the other\r");
  EXPECT_TRUE(other->wait_for("한글\r\n")) << other->screen();
  EXPECT_TRUE(other->wait_for(kPasteIsTold));
  leave(*other);
  terminal->type("second\r");
  EXPECT_TRUE(terminal->wait_for("found what another program wrote since")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  EXPECT_THAT(saved(), HasSubstr("\"of the other\""));
  terminal->type("/load " + session + "\r");
  EXPECT_TRUE(terminal->wait_for("saved: 4 messages")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("third\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  leave(*terminal);
  EXPECT_THAT(saved(), ::testing::AllOf(HasSubstr("\"of the other\""), HasSubstr("\"third\""),
                                        Not(HasSubstr("\"second\""))));
}

class EndlessChatTerminal : public ChatTerminal {
 protected:
  EndlessChatTerminal() : ChatTerminal(1 << 20, true) {}
};

TEST_F(EndlessChatTerminal, CtrlCStopsTheReplyAndASecondLeaves) {
  const auto terminal = open();
  terminal->type("hi\r");
  EXPECT_TRUE(terminal->wait_for("한글한글한글한글"));
  terminal->type(kCtrlC);
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold)) << "the prompt is back";
  terminal->type("/stats\r");
  EXPECT_TRUE(terminal->wait_for("ended by: interrupted"));
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("again\r");
  EXPECT_TRUE(terminal->wait_for("한글한글한글한글"));
  terminal->type(kCtrlC);
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type(kCtrlC);
  EXPECT_EQ(terminal->finish(), 130) << "the second in a row";
}

TEST_F(ChatTerminal, ABackslashContinuesTheLine) {
  const auto terminal = open();
  terminal->type("one\\\r");
  EXPECT_TRUE(terminal->wait_for("\u2026 ")) << terminal->screen();
  terminal->type("two\r");
  expect_said(*terminal, R"("one\ntwo")");
}

// The message is longer than the context; that its tokens are counted right says that nothing was lost.
TEST_F(ChatTerminal, TenThousandPastedLinesAreOneMessage) {
  const auto terminal = open();
  std::string pasted;
  for (int i = 0; i < 10000; ++i) pasted += fmt::format("줄 {:05}\r", i);
  terminal->type("see:\x1B[200~" + pasted + "\x1B[201~");
  EXPECT_TRUE(terminal->wait_for("[10000 lines pasted]"));
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("end\r");
  const std::size_t around = std::string("### 질문: ").size() + std::string("\n\n### 답변:").size();
  const std::size_t tokens = 2 + around + 4 + pasted.size() + 3;
  EXPECT_TRUE(terminal->wait_for(fmt::format("(the context), found {}", tokens)))
      << terminal->screen().substr(terminal->screen().size() - 300);
  leave(*terminal);
}

// The same from a terminal that does not tell pasting from typing.
TEST_F(ChatTerminal, TenThousandTypedLinesAreNotLost) {
  const auto terminal = open();
  std::string typed;
  for (int i = 0; i < 10000; ++i) typed += fmt::format("{:05}\\\r", i);
  terminal->type(typed + "end\r");
  const std::size_t around = std::string("### 질문: ").size() + std::string("\n\n### 답변:").size();
  const std::size_t tokens = 2 + around + std::size_t{10000} * 6 + 3;
  EXPECT_TRUE(terminal->wait_for(fmt::format("(the context), found {}", tokens)))
      << terminal->screen().substr(terminal->screen().size() - 300);
  leave(*terminal);
}

TEST_F(ChatTerminal, AShortPasteIsPartOfTheLine) {
  const auto terminal = open();
  terminal->type("a \x1B[200~pasted 글\x1B[201~ b\r");
  expect_said(*terminal, "\"a pasted 글 b\"");
}

TEST_F(ChatTerminal, PastedLinesCanBeEdited) {
  const auto terminal = open();
  terminal->type("\x1B[200~one\rtwx\r\x1B[201~");
  EXPECT_TRUE(terminal->wait_for("one\u23CEtwx")) << terminal->screen();
  terminal->type("\x7Fo\r");
  expect_said(*terminal, R"("one\ntwo")");
}

// More than the screen has room for.
TEST_F(ChatTerminal, ALongPasteCanBeEdited) {
  std::string pasted, said;
  for (int i = 0; i < 300; ++i) {
    pasted += fmt::format("줄 {:03}\r", i);
    said += fmt::format("줄 {:03}\\n", i);
  }
  const auto terminal = open();
  terminal->type("see \x1B[200~" + pasted + "\x1B[201~: 가나");
  EXPECT_TRUE(terminal->wait_for("299: 가나")) << terminal->screen();
  terminal->type("\x7F\x01X\r");  // the last letter goes, and one comes to the line's beginning
  said.resize(said.size() - 2);
  expect_said(*terminal, "\"Xsee " + said + ": 가\"");
}

// What is no text can't be edited, and is sent as it came.
TEST_F(ChatTerminal, OneLongPastedLineIsOne) {
  const auto terminal = open();
  terminal->type("\x1B[200~" + std::string(999, 'x') + "\t\x1B[201~");
  EXPECT_TRUE(terminal->wait_for("[1 line pasted]")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n"));
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  leave(*terminal);
}

// The byte is no character, which a line can't have.
TEST_F(ChatTerminal, AShortPasteLosesNoByte) {
  const auto terminal = open();
  terminal->type(
      "\x1B[200~a\xFF"
      "b\x1B[201~");
  EXPECT_TRUE(terminal->wait_for("[1 line pasted]")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  leave(*terminal);
}

TEST_F(ChatTerminal, TabCompletesCommands) {
  const auto terminal = open();
  terminal->type("/cl\t\r/st\t\r");
  EXPECT_TRUE(terminal->wait_for("ear")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for("0 messages")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("/s\t");
  EXPECT_TRUE(terminal->wait_for("/system  /save  /stats")) << terminal->screen();
  terminal->type("a\tX");
  EXPECT_TRUE(terminal->wait_for("veX")) << terminal->screen();
  terminal->type("\x15");  // Ctrl-U takes the line away
  leave(*terminal);
}

// A paste that does not end, a key that is taken as it is, one of these inside the other, a search with a paste.
TEST_F(ChatTerminal, CtrlCEndsWhatIsBegun) {
  const std::string paste = "\x1B[200~two\twords\n";
  for (const std::string& begun :
       {paste, std::string("\x16"), "\x16" + paste, "\x12" + paste + "\x1B[201~"}) {
    const auto terminal = open();
    terminal->type(begun);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    terminal->type("\x03");
    EXPECT_TRUE(terminal->wait_for("(Ctrl-C again leaves)")) << terminal->screen();
    EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
    terminal->type("/quit\r");
    EXPECT_EQ(terminal->finish(), 0) << terminal->screen();
    EXPECT_THAT(terminal->screen(), Not(HasSubstr("한글")));
  }
}

TEST_F(ChatTerminal, SaysHowToLeaveAndLeavesSo) {
  for (const char* word : {"exit\r", "quit\r", "/bye\r", "/quit\r", "/exit\r"}) {
    const auto terminal = open();
    EXPECT_THAT(terminal->screen(), HasSubstr("/help lists what there is to type; /bye or Ctrl-D leaves"))
        << word;
    terminal->type(word);
    EXPECT_EQ(terminal->finish(), 0) << word;
    EXPECT_THAT(terminal->screen(), Not(HasSubstr("한글"))) << word;
  }
}

TEST_F(ChatTerminal, LinesAreRememberedForTheNextTime) {
  {
    const auto terminal = open();
    terminal->type("기억해\r");
    EXPECT_TRUE(terminal->wait_for("한글\r\n"));
    EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
    leave(*terminal);
  }
  const std::string history = directory_.path() + "/llamajit/chat-history";
  ASSERT_TRUE(std::filesystem::exists(history));
  EXPECT_EQ(std::filesystem::status(history).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto terminal = open();
  terminal->type(kUp);
  EXPECT_TRUE(terminal->wait_for("기억해")) << terminal->screen();
  terminal->type("\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n"));
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  leave(*terminal);
}

TEST_F(ChatTerminal, ALineSurvivesAResize) {
  const auto terminal = open();
  terminal->type("before");
  EXPECT_TRUE(terminal->wait_for("before"));
  terminal->resize(30, 40);
  terminal->type(" after\r");
  expect_said(*terminal, "\"before after\"");
}

TEST_F(ChatTerminal, ColourUnlessItIsNotWanted) {
  const std::string green = "\x1B[1;32m";
  for (const auto& [options, environment, colored] : std::vector<
           std::tuple<std::vector<std::string>, std::vector<std::pair<std::string, std::string>>, bool>>{
           {{}, {}, true},
           {{}, {{"NO_COLOR", "1"}}, false},
           {{}, {{"NO_COLOR", ""}}, true},
           {{"--color"}, {{"NO_COLOR", "1"}}, true},
           {{"--no-color"}, {}, false},
           {{}, {{"TERM", "dumb"}}, false}}) {
    const auto terminal = open(options, environment);
    terminal->type("x");
    EXPECT_TRUE(terminal->wait_for("x"));
    EXPECT_EQ(terminal->screen().find(green) != std::string::npos, colored) << terminal->screen();
    terminal->type("\x15");
    leave(*terminal);
  }
}

TEST_F(ChatTerminal, ErrorsOfOneMessageDoNotEndTheChat) {
  const auto terminal = open();
  terminal->type("/load " + directory_.path() + "/nowhere\r");
  EXPECT_TRUE(terminal->wait_for("/nowhere: cannot open: No such file")) << terminal->screen();
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  terminal->type("hi\r");
  EXPECT_TRUE(terminal->wait_for("한글\r\n"));
  EXPECT_TRUE(terminal->wait_for(kPasteIsTold));
  leave(*terminal);
}

}  // namespace
}  // namespace llamajit::test::chat_terminal_test
