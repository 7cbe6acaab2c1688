// llamajit chat where standard input is no terminal; and what of KoAlpaca.cpp must not come back.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "tests/support/chat_fixture.h"
#include "tools/sandbox/sandbox.h"

namespace llamajit::test::chat_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Chat : public ChatTest {
 protected:
  using ChatTest::ChatTest;
  void expect_replies(const std::string& input, const std::string& out,
                      std::vector<std::string> more = {}) const {
    const ChildResult result = chat(input, std::move(more));
    expect_success(result);
    EXPECT_EQ(result.out, out);
  }
  // The last line of standard error has all of these.
  static void expect_error_with(const ChildResult& result, const std::vector<std::string>& parts) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
  }
  // Tokens of the last turn, as /stats tells.
  int tokens_of(const std::string& input, std::vector<std::string> more = {}) const {
    const std::string err = chat(input + "\n/stats\n", std::move(more)).err;
    const std::size_t at = err.find("last turn: ");
    return at == std::string::npos ? -1 : std::stoi(err.substr(at + 11));
  }
};

TEST_F(Chat, EachLineIsAnsweredAndNothingElseIsPrinted) {
  expect_replies("hello\nworld\n", "한글\n한글\n");
  expect_replies("no newline at the end", "한글\n");
}

TEST_F(Chat, TheEndOfTheInputEndsIt) {
  expect_replies("", "");
  expect_replies("\n\n", "");
  expect_replies(" \n\t\n  \\\n \n", "");
  expect_replies("half a line \\", "한글\n");
}

TEST_F(Chat, ABackslashContinuesALine) {
  expect_replies("one \\\ntwo \\\nthree\n", "한글\n");
  EXPECT_EQ(tokens_of("one \\\ntwo", {"--template", "koalpaca-polyglot"}),
            tokens_of("one +two", {"--template", "koalpaca-polyglot"}));
}

TEST_F(Chat, LinesMayBeLong) {
  for (const std::size_t n : {255U, 256U, 3000U}) {
    const std::vector<std::string> plain{"--template", "koalpaca-polyglot"};
    EXPECT_EQ(tokens_of(std::string(n, 'x'), plain), tokens_of("x", plain) + static_cast<int>(n) - 1) << n;
  }
}

TEST_F(Chat, PromptsFromOptionsAreUsed) {
  expect_replies("", "한글\n", {"-p", "hi"});
  expect_replies("more\n", "한글\n한글\n", {"-p", "hi"});
  expect_replies("", "한글\n", {"-f", directory_.write("prompt", "hi\n")});
  expect_replies("ignored\n", "한글\n", {"--single-turn", "-p", "hi"});
  expect_replies("asked\n", "한글\n", {"--single-turn"});
  EXPECT_EQ(tokens_of("", {"-p", "four"}), tokens_of("", {"-f", directory_.write("f", "four")}));
}

TEST_F(Chat, LimitsAndReversePromptsEndReplies) {
  expect_replies("hi\n", "한\n", {"-n", "3"});
  expect_replies("hi\n", "한\n", {"-r", "글"});
  expect_replies("hi\n", "\n", {"-r", "nothing", "-r", "한글"});
  expect_replies("hi\n", "한\n", {"--reverse-prompt", "\xEA\xB8"});  // found before its character is whole
}

TEST_F(Chat, KoAlpacaSpellingsOfOptionsAreUnderstood) {
  const std::vector<std::string> options = {"-s",
                                            "1",
                                            "-t",
                                            "1",
                                            "--top_k",
                                            "40",
                                            "--top_p",
                                            "0.95",
                                            "--repeat_last_n",
                                            "64",
                                            "--repeat_penalty",
                                            "1.0",
                                            "-c",
                                            "512",
                                            "--batch_size",
                                            "8",
                                            "--temp",
                                            "0"};
  std::vector<std::string> chat_command{"chat", "-m", model_, "-i", "--n_predict", "6"};
  chat_command.insert(chat_command.end(), options.begin(), options.end());
  ChildOptions input;
  input.input = "hi\n";
  EXPECT_EQ(run_program(chat_command, input).out, "한글\n");
  std::vector<std::string> run_command{"run", "-m", model_, "--n_predict", "6", "-p", "x", "--color"};
  run_command.insert(run_command.end(), options.begin(), options.end());
  EXPECT_EQ(run_program(run_command).out, "x한글");
  run_command.insert(run_command.end(), {"-r", "글"});
  EXPECT_EQ(run_program(run_command).out, "x한");
  chat_command[0] = "run";
  EXPECT_EQ(run_program(chat_command, input).out, "한글\n") << "run -i is a chat";
}

TEST_F(Chat, TemperatureZeroIsFine) {
  for (const char* temperature : {"0", "1e-30"}) {
    ChildOptions input;
    input.input = "hi\n";
    const ChildResult result = run_program({"chat", model_, "-t", "1", "--temp", temperature}, input);
    expect_success(result);
    EXPECT_EQ(result.out, "한글\n");
  }
}

TEST_F(Chat, CommandsDoWhatTheySay) {
  const std::string saved = directory_.path() + "/saved";
  const ChildResult result = chat("/help\nhi\n/save " + saved + "\n/reset\n/stats\n/load " + saved +
                                  "\n/stats\n/quit\nnever read\n");
  expect_success(result);
  EXPECT_EQ(result.out, "한글\n");
  for (const char* part : {"/system TEXT", "saved: 2 messages", "0 messages", "2 messages,"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
  EXPECT_THAT(chat("/nonsense\n").err, HasSubstr("/nonsense: expected a command that /help shows"));
  EXPECT_THAT(chat("/save\n").err, HasSubstr("/save: expected FILE, found nothing"));
  expect_replies("//slash\n", "한글\n");
  EXPECT_THAT(chat("/system be nice\nhi\n/stats\n").err, HasSubstr("3 messages"));
}

TEST_F(Chat, ASessionGoesOnWhereItWas) {
  const std::string session = directory_.path() + "/session";
  expect_replies("one\n", "한글\n", {"--session", session});
  const ChildResult second = chat("two\n/stats\n", {"--session", session});
  EXPECT_EQ(second.out, "한글\n");
  EXPECT_THAT(second.err, HasSubstr("4 messages"));
  std::ifstream file(session);
  const std::string content(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(content, HasSubstr("\"content\": \"two\""));
  directory_.write("session", content.substr(0, content.size() - 2));
  expect_error_with(chat("x\n", {"--session", session}), {session, "content", "expected SHA-256"});
  const ChildResult other =
      chat("x\n", {"--session", directory_.write("s2", content), "--template", "chatml"});
  expect_error_with(other, {"s2", "model.chat_template", "expected", "found"});
}

TEST_F(Chat, SavingReplacesSessionsAlone) {
  const std::string notes = directory_.write("notes", "not to be lost");
  expect_error_with(chat("/save " + notes + "\n"),
                    {notes + ": expected a session or no file, found one that begins 'not to be lost'"});
  std::ifstream file(notes);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "not to be lost");
  const std::string saved = directory_.write("saved", "");
  EXPECT_THAT(chat("one\n/save " + saved + "\ntwo\n/save " + saved + "\n").err,
              HasSubstr("saved: 4 messages"));
}

TEST_F(Chat, ATemplateMayBeAFile) {
  const std::string file = directory_.write("t.jinja", "{{ messages[-1].content }}=");
  EXPECT_EQ(tokens_of("abc", {"--template", file}), 2 + 3 + 1);
  const ChildResult broken = chat("x\n", {"--template", directory_.write("b.jinja", "{{ 1\n+ }}")});
  expect_error_with(broken, {"b.jinja: line 2: expected a value, found '}}'"});
  const ChildResult unknown = chat("x\n", {"--template", "nope"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("expected a file, Jinja or one of alpaca, koalpaca"));
  const ChildResult refuses =
      chat("x\n", {"--template", directory_.write("r.jinja", "{{ raise_exception('not with me') }}")});
  EXPECT_EQ(refuses.exit_code, 1);
  EXPECT_THAT(refuses.err, HasSubstr("r.jinja: line 1: the template says: not with me"));
}

class ShortChat : public Chat {
 protected:
  ShortChat() : Chat(120) {}
};

TEST_F(ShortChat, SaysThatTheContextIsFull) {
  const std::vector<std::string> plain{"--template", "koalpaca-polyglot"};
  const ChildResult endless = chat("hi\n", {"--template", "koalpaca-polyglot", "--ignore-eos"});
  expect_success(endless);
  EXPECT_THAT(endless.err, HasSubstr("the context is full"));
  const ChildResult long_one = chat(std::string(200, 'x') + "\n", plain);
  EXPECT_EQ(long_one.exit_code, 1);
  EXPECT_THAT(long_one.err, HasSubstr("conversation: expected at most 120 tokens (the context), found"));
  EXPECT_THAT(long_one.err, HasSubstr("--context-shift would"));
  const std::string turns = "one\ntwo\nthree\nfour\nfive\nsix\n";
  EXPECT_EQ(chat(turns, plain).exit_code, 1);
  const ChildResult after = chat(std::string(200, 'x') + "\n/clear\nhi\n", plain);
  EXPECT_EQ(after.out, "한글\n") << "what does not fit ends no script";
  EXPECT_EQ(after.exit_code, 1);
  const ChildResult shifting = chat(turns, {"--template", "koalpaca-polyglot", "--context-shift"});
  expect_success(shifting);
  EXPECT_EQ(shifting.out, "한글\n한글\n한글\n한글\n한글\n한글\n");
  EXPECT_THAT(shifting.err, HasSubstr("the oldest"));
}

TEST_F(ShortChat, DoesNotAdviseWhatIsDoneAlready) {
  const std::vector<std::string> shifting{"--template", "koalpaca-polyglot", "--context-shift",
                                          "--ignore-eos"};
  const ChildResult endless = chat("hi\n", shifting);
  expect_success(endless);
  EXPECT_THAT(endless.err, HasSubstr("the reply filled the context by itself"));
  const ChildResult long_one = chat(std::string(200, 'x') + "\n", shifting);
  EXPECT_THAT(long_one.err, HasSubstr("ask less at a time"));
  EXPECT_THAT(endless.err + long_one.err, Not(HasSubstr("--context-shift")));
}

TEST_F(ShortChat, AdvisesNoCommandWhereNoneCanBeTyped) {
  const std::vector<std::string> plain{"--template", "koalpaca-polyglot", "--single-turn"};
  for (const std::string& question : {std::string(200, 'x'), std::string("hi")}) {
    std::vector<std::string> more = plain;
    more.insert(more.end(), {"--ignore-eos", "-p", question});
    const ChildResult result = chat("", more);
    EXPECT_THAT(result.err, HasSubstr("-c gives a longer context"));
    EXPECT_THAT(result.err, Not(HasSubstr("/clear")));
  }
}

TEST_F(Chat, ABlankTemplateIsNone) {
  const int usual = tokens_of("abc");
  for (const char* blank : {"", "  \n"}) EXPECT_EQ(tokens_of("abc", {"--template", blank}), usual);
  const std::string file = directory_.write("blank.jinja", " \n");
  EXPECT_EQ(tokens_of("abc", {"--chat-template-file", file}), usual);
}

TEST_F(Chat, WarnsOfATemplateWithoutTheQuestion) {
  const std::string warning = "does not write the question";
  EXPECT_THAT(chat("x\n", {"--template", "{{ 'always the same' }}"}).err, HasSubstr(warning));
  EXPECT_THAT(chat("x\n", {"--template", "{{ messages[-1].role }}:"}).err, HasSubstr(warning));
  for (const char* fine : {"{{ messages[-1].content | upper }}", "chatml"}) {
    EXPECT_THAT(chat("x\n", {"--template", fine}).err, Not(HasSubstr(warning))) << fine;
  }
}

TEST_F(Chat, ShowPromptWritesWhatTheModelWouldBeGiven) {
  const auto shown = [&](std::vector<std::string> more, const std::string& input = "") {
    more.emplace_back("--show-prompt");
    const ChildResult result = chat(input, std::move(more));
    expect_success(result);
    return result.out;
  };
  EXPECT_EQ(shown({"--template", "chatml", "-p", "hi"}),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  for (const char* input : {"from input", "from input\n"}) {
    EXPECT_EQ(shown({"--template", "{{ messages[0].content }}"}, input), "from input");
  }
  EXPECT_EQ(shown({"--chat-template", "{{ messages | map(attribute='role') | join(' ') }}", "--system", "s",
                   "-p", "x"}),
            "system user");
  const std::string file = directory_.write("t.jinja", "[{{ messages[0].content }}]");
  EXPECT_EQ(shown({"--chat-template-file", file, "-p", "x"}), "[x]");
  EXPECT_EQ(chat("", {"--chat-template-file", file + "x", "-p", "x"}).exit_code, 1);
}

TEST_F(Chat, TemplatesAreGivenToolsAndVariables) {
  const auto shown = [&](const std::string& source, std::vector<std::string> more) {
    more.insert(more.end(), {"--show-prompt", "-p", "x", "--template", source});
    const ChildResult result = chat("", std::move(more));
    return result.exit_code == 0 ? result.out : result.err;
  };
  const std::string tools =
      directory_.write("tools.json", R"([{"name": "날씨", "n": [1, 2.5, null, true]}])");
  EXPECT_EQ(shown("{{ tools | tojson }}", {"--tools", tools}),
            R"([{"name": "날씨", "n": [1, 2.5, null, true]}])");
  EXPECT_EQ(shown("{{ tools is none }}{{ documents is none }}{{ thinking is defined }}", {}),
            "TrueTrueFalse");
  EXPECT_EQ(shown("{{ a is false }} {{ b + 1 }} {{ c }} {{ d.e }} {{ f }}",
                  {"--template-arg", "a=false", "--template-arg", "b=2", "--template-arg", "c=x=y z",
                   "--template-arg", R"(d={"e": [1]})", "--template-arg", "f="}),
            "True 3 x=y z [1] ");
  EXPECT_THAT(shown("{{ tools }}", {"--tools", directory_.write("bad.json", "[1,")}),
              HasSubstr("bad.json: expected JSON"));
  EXPECT_THAT(shown("{{ tools }}", {"--tools", directory_.write("dict.json", "{}")}),
              HasSubstr("dict.json: expected a list of tools, found a dictionary"));
  EXPECT_THAT(shown("", {"--template-arg", "novalue"}), HasSubstr("--template-arg: expected NAME=VALUE"));
  EXPECT_THAT(shown("", {"--template-arg", "messages=[]"}), HasSubstr("another name"));
  const std::string deep(200, '[');
  EXPECT_THAT(shown("{{ x }}", {"--template-arg", "x=" + deep + std::string(200, ']')}),
              HasSubstr("within each other"));
}

TEST_F(Chat, CommandsHaveTheNamesThatOthersGiveThem) {
  const ChildResult result = chat("/?\nhi\n/clear\n/stats\n/bye\nnever read\n");
  expect_success(result);
  EXPECT_EQ(result.out, "한글\n");
  EXPECT_THAT(result.err, HasSubstr("(also /reset)"));
  EXPECT_THAT(result.err, HasSubstr("0 messages"));
  EXPECT_THAT(chat("/hlep\n").err, HasSubstr("did you mean '/help'?"));
  expect_replies("/exit\nnever read\n", "");
  EXPECT_THAT(chat("/\n").err, HasSubstr("/: expected a command that /help shows"));
  expect_replies("exit\nquit\n", "한글\n한글\n");  // in a script these are words like others
}

TEST_F(Chat, TheSandboxKeepsItToItsFolders) {
  if (*sandbox::reason_against() != '\0') GTEST_SKIP() << sandbox::reason_against();
  const TempDirectory elsewhere;
  const std::string saved = elsewhere.path() + "/saved";
  const ChildResult refused = chat("hi\n/save " + saved + "\n");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.out, "한글\n");
  EXPECT_THAT(refused.err, HasSubstr(fmt::format("{}: expected a file in {}, ", saved, directory_.path())));
  EXPECT_FALSE(std::filesystem::exists(saved));
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--files", elsewhere.path()},
                                               {"--session", elsewhere.path() + "/session"},
                                               {"--no-sandbox"}}) {
    const ChildResult result = chat("hi\n/save " + saved + "\n/load " + saved + "\n", more);
    expect_success(result);
    EXPECT_TRUE(std::filesystem::remove(saved)) << more.front();
  }
  expect_error_with(chat("hi\n", {"--files", saved}), {saved + ": No such file or directory"});
}

TEST_F(Chat, WhatWasForgottenHasNoStats) {
  const std::string saved = directory_.path() + "/saved";
  for (const std::string& command :
       {std::string("/clear"), std::string("/system be nice"), "/load " + saved}) {
    const ChildResult result = chat("hi\n/save " + saved + "\n" + command + "\n/stats\n");
    expect_success(result);
    EXPECT_THAT(result.err, Not(HasSubstr("last turn"))) << command;
    EXPECT_THAT(result.err, HasSubstr(", 0 of 4000 tokens of the context")) << command;
  }
}

TEST_F(Chat, QuietMeansWarningsAndErrorsAlone) {
  const std::string session = directory_.path() + "/kept";
  for (int i = 0; i < 2; ++i) {
    const ChildResult result = chat("hi\n/stats\n/help\n", {"-q", "-n", "1", "--session", session});
    expect_success(result);
    EXPECT_EQ(result.err, "");
  }
  EXPECT_THAT(
      chat("hi\n", {"-n", "1", "--session", session}).err,
      ::testing::AllOf(HasSubstr("kept: 4 messages"), HasSubstr("(the reply reached the token limit")));
  EXPECT_THAT(chat("/nonsense\n", {"-q"}).err, HasSubstr("expected a command"));
}

TEST_F(Chat, ASessionThatCannotBeKeptIsRefusedFirst) {
  const std::string nowhere = directory_.path() + "/no/such/folder/session";
  expect_error_with(chat("x\n", {"--session", nowhere}),
                    {nowhere, "expected a folder that can be written to"});
  expect_error_with(chat("x\n", {"--session", directory_.path()}), {"expected a file, found a folder"});
}

// Where it lies is what the sandbox leaves, and not the link's folder.
TEST_F(Chat, ASessionIsKeptWhereALinkLeadsTo) {
  const TempDirectory elsewhere;
  const std::string link = directory_.path() + "/link", file = elsewhere.path() + "/session";
  std::filesystem::create_symlink(file, link);
  expect_replies("one\n", "한글\n", {"--session", link});
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_THAT(chat("two\n", {"--session", file}).err, HasSubstr("session: 2 messages"));
  std::filesystem::create_symlink("loop", directory_.path() + "/loop");
  expect_error_with(chat("x\n", {"--session", directory_.path() + "/loop"}),
                    {directory_.path() + "/loop: Too many levels of symbolic links"});
}

TEST_F(Chat, ColourIsForTerminalsOnly) {
  const ChildResult result = chat("/help\nhi\n", {"--color"});
  EXPECT_THAT(result.out + result.err, Not(HasSubstr("\x1B[")));
}

}  // namespace
}  // namespace llamajit::test::chat_test
