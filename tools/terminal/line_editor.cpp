// Lines from a terminal, edited with libedit.
#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tokenizer/utf8.h"
#include "tools/common/cli.h"
#include "tools/terminal/chat_input.h"

namespace llamajit::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kHistorySize = 1000;             // lines
constexpr std::size_t kLongestTyped = 400;     // bytes of a paste that goes into the line as if typed
constexpr std::size_t kLongestInLine = 16384;  // of one that is put into it at once
constexpr std::string_view kPasteBegin = "\x1B[200~";
constexpr std::string_view kPasteEnd = "\x1B[201~";
constexpr char kCtrlC = '\x03';  // comes as a byte while libedit takes the next key as it is
constexpr int kPromptWidth = 2;
constexpr int kEscapeTime = 50;  // milliseconds in which the rest of a key's sequence must come

// libedit measures characters by the locale.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

void append_utf8(std::string& out, std::wstring_view text) {
  std::array<char, 16> bytes{};
  for (const wchar_t c : text) {
    std::mbstate_t state{};
    const std::size_t n = std::wcrtomb(bytes.data(), c, &state);
    if (n != static_cast<std::size_t>(-1)) out.append(bytes.data(), n);
  }
}

// $XDG_STATE_HOME/llamajit/chat-history; nothing without a home.
std::optional<fs::path> history_path() {
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && fs::path(state).is_absolute()) return fs::path(state) / "llamajit" / "chat-history";
  const char* const home = std::getenv("HOME");
  if (home == nullptr || !fs::path(home).is_absolute()) return std::nullopt;
  return fs::path(home) / ".local/state/llamajit/chat-history";
}

// Terminals send Enter's character for the ends of pasted lines.
std::string with_newlines(std::string_view pasted) {
  std::string text;
  for (std::size_t i = 0; i < pasted.size(); ++i) {
    if (pasted[i] != '\r') {
      text += pasted[i];
    } else if (!pasted.substr(i + 1).starts_with('\n')) {
      text += '\n';
    }
  }
  return text;
}

// A newline inside of a line that is edited: a text of several lines is edited so.
constexpr std::string_view kNewlineSign = "\u23CE";

std::wstring wide(const std::string& text) {
  std::wstring out(text.size(), L'\0');
  const std::size_t n = std::mbstowcs(out.data(), text.c_str(), out.size());
  out.resize(n == static_cast<std::size_t>(-1) ? 0 : n);
  return out;
}

// A pasted text as part of a line; nothing where it can't be: one that is very long, has other keys in it or bytes
// that are no characters. The newline
// at its end is not part of it, as Enter is to send it.
std::string as_line(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto is_key = [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; };
  if (text.size() > kLongestInLine || std::ranges::any_of(text, is_key) ||
      text.find(kNewlineSign) != std::string_view::npos || wide(std::string(text)).empty()) {
    return {};
  }
  std::string line;
  for (const char c : text) line += c == '\n' ? kNewlineSign : std::string_view(&c, 1);
  return line;
}

std::string with_newlines_for_signs(std::string line) {
  for (std::size_t at = 0; (at = line.find(kNewlineSign, at)) != std::string::npos;) {
    line.replace(at, kNewlineSign.size(), "\n");
  }
  return line;
}

class LineHistory {
 public:
  LineHistory() : history_(history_winit()), path_(history_path()) {
    HistEventW event;
    history_w(history_, &event, H_SETSIZE, kHistorySize);
    history_w(history_, &event, H_SETUNIQUE, 1);
    if (path_) history_w(history_, &event, H_LOAD, path_->c_str());  // none is as good as an empty one
  }
  LineHistory(const LineHistory&) = delete;
  LineHistory& operator=(const LineHistory&) = delete;
  ~LineHistory() {
    save();
    history_wend(history_);
  }

  HistoryW* get() const { return history_; }
  void add(const wchar_t* line) {
    HistEventW event;
    history_w(history_, &event, H_ENTER, line);
    changed_ = true;
  }

 private:
  // Nobody but its owner is to read it; a chat that ends at the same time never sees half of it.
  void save() {
    if (!path_ || !changed_) return;
    std::error_code error;
    fs::create_directories(path_->parent_path(), error);
    const std::string temporary = fmt::format("{}.{}", path_->string(), getpid());
    const mode_t before = umask(077);
    HistEventW event;
    const bool saved = history_w(history_, &event, H_SAVE, temporary.c_str()) != -1;
    umask(before);
    if (saved) fs::rename(temporary, *path_, error);
    if (!saved || error) fs::remove(temporary, error);
  }

  HistoryW* history_;
  std::optional<fs::path> path_;
  bool changed_ = false;
};

termios state_of_terminal() {
  termios state{};
  tcgetattr(STDIN_FILENO, &state);
  return state;
}

// Characters one by one, and not echoed.
termios quiet(termios state) {
  state.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  state.c_cc[VMIN] = 1;
  state.c_cc[VTIME] = 0;
  return state;
}

class LineEditor : public ChatInput {
 public:
  LineEditor(Signals& signals, bool color, std::vector<std::string> words)
      : bytes_(STDIN_FILENO, signals),
        words_(std::move(words)),
        prompt_(color ? L"\1\x1B[1;32m\1>\1\x1B[0m\1 " : L"> ") {
    el_wset(edit_, EL_CLIENTDATA, this);
    el_wset(edit_, EL_EDITOR, L"emacs");
    el_wset(edit_, EL_GETCFN, next_character);
    el_wset(edit_, EL_PROMPT_ESC, prompt_of, L'\1');
    el_wset(edit_, EL_HIST, history_w, history_.get());
    el_wset(edit_, EL_BIND, L"^R", L"em-inc-search-prev", nullptr);
    el_wset(edit_, EL_ADDFN, L"complete-word", L"Complete a command", complete);
    el_wset(edit_, EL_BIND, L"^I", L"complete-word", nullptr);
    el_source(edit_, nullptr);  // the user's own ~/.editrc
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet_);
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor() override {
    el_end(edit_);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before_);
  }

  InputLine read(bool continues) override {
    continues_ = continues;
    std::string text;
    for (;;) {
      pasted_.reset();
      const InputLine::Kind kind = edit_line(text);
      if (kind != InputLine::Kind::text) return {kind};
      if (!pasted_) return {kind, std::move(text)};
      // A pasted text belongs to the message as it is; the line goes on behind it.
      const auto lines = std::ranges::count(*pasted_, '\n') + (pasted_->ends_with('\n') ? 0 : 1);
      write_out(fmt::format("[{} {} pasted]\n", lines, lines == 1 ? "line" : "lines"));
      text += *pasted_;
      continues_ = true;
    }
  }

 private:
  // Adds what is typed up to Enter, or up to where a text is pasted.
  InputLine::Kind edit_line(std::string& text) {
    interrupted_ = false;
    write_out("\x1B[?2004h");  // tells pasting from typing
    int length = 0;
    const wchar_t* const line = el_wgets(edit_, &length);
    write_out("\x1B[?2004l");
    // libedit leaves the terminal to echo; what is typed while the model speaks is shown when it is read.
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet_);
    if (line == nullptr || length <= 0) {
      write_out(interrupted_ ? "^C\n" : "\n");
      return interrupted_ ? InputLine::Kind::interrupt : InputLine::Kind::end;
    }
    std::wstring_view typed(line, static_cast<std::size_t>(length));
    if (typed.ends_with(L'\n')) typed.remove_suffix(1);
    if (!typed.empty()) history_.add(std::wstring(typed).c_str());
    std::string line_text;
    append_utf8(line_text, typed);
    text += with_newlines_for_signs(std::move(line_text));
    return InputLine::Kind::text;
  }

  static LineEditor& self(EditLine* edit) {
    void* data = nullptr;
    el_wget(edit, EL_CLIENTDATA, &data);
    return *static_cast<LineEditor*>(data);
  }

  static wchar_t* prompt_of(EditLine* edit) {
    LineEditor& editor = self(edit);
    return editor.continues_ ? editor.continuation_.data() : editor.prompt_.data();
  }

  // For libedit: 1 and a character, 0 at the end of the input, -1 on Ctrl-C.
  static int next_character(EditLine* edit, wchar_t* c) {
    LineEditor& editor = self(edit);
    for (;;) {
      while (editor.bytes_.pending().empty()) {
        switch (editor.bytes_.wait()) {
          case InputBytes::Event::end:
            return 0;
          case InputBytes::Event::interrupt:
            return editor.interrupt();
          case InputBytes::Event::resize:
            editor.draw_again();
            break;
          case InputBytes::Event::bytes:
            break;
        }
      }
      if (editor.bytes_.pending().starts_with(kCtrlC)) {
        editor.bytes_.take(1);
        return editor.interrupt();
      }
      if (editor.take_paste()) {
        *c = L'\n';
        return 1;
      }
      if (editor.interrupted_) return editor.interrupt();
      if (editor.take_character(*c)) return 1;
      if (editor.interrupted_) return editor.interrupt();
    }
  }

  // Returns what next_character() returns then.
  int interrupt() {
    interrupted_ = true;
    errno = EINTR;
    return -1;
  }

  // Waits a little for what belongs to what is pending. False where nothing came.
  bool more_comes() {
    const std::size_t before = bytes_.pending().size();
    const InputBytes::Event event = bytes_.wait(kEscapeTime);
    if (event == InputBytes::Event::interrupt) interrupted_ = true;
    return event == InputBytes::Event::bytes && bytes_.pending().size() > before;
  }

  // libedit calls this on Tab: as much as all words that begin with the line have in common.
  static unsigned char complete(EditLine* edit, int) {
    const LineInfoW* const line = el_wline(edit);
    std::string typed;
    append_utf8(typed, {line->buffer, static_cast<std::size_t>(line->cursor - line->buffer)});
    const bool begins_command = typed.starts_with('/') && line->cursor == line->lastchar;
    std::vector<std::string> fitting;
    for (const std::string& word : self(edit).words_) {
      if (begins_command && word.starts_with(typed)) fitting.push_back(word);
    }
    if (fitting.empty()) return CC_ERROR;
    std::string common = fitting.front();
    for (const std::string& word : fitting) {
      const auto [end, other] = std::ranges::mismatch(common, word);
      common.erase(end, common.end());
    }
    if (common.size() > typed.size()) {
      const std::string rest = common.substr(typed.size());
      el_winsertstr(edit, std::wstring(rest.begin(), rest.end()).c_str());
      return CC_REFRESH;
    }
    if (fitting.size() == 1) return CC_NORM;
    write_out(fmt::format("\n{}\n", fmt::join(fitting, "  ")));
    return CC_REDISPLAY;
  }

  void draw_again() {
    erase_line();
    el_resize(edit_);
    el_wset(edit_, EL_REFRESH);
  }

  // As typed, each character would draw the line again.
  void insert(const std::wstring& text) {
    erase_line();
    el_winsertstr(edit_, text.c_str());
    el_wset(edit_, EL_REFRESH);
  }

  // libedit draws from where the cursor is; the line begins some rows above, as the terminal's width has them.
  void erase_line() {
    const LineInfoW* const line = el_wline(edit_);
    winsize size{};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    int rows = 0;
    int column = kPromptWidth;
    for (const wchar_t* c = line->buffer; c != line->cursor; ++c) {
      const int width = std::max(wcwidth(*c), 0);
      const bool wraps = column + width > size.ws_col;  // a wide character goes to the next row as a whole
      rows += wraps ? 1 : 0;
      column = wraps ? width : column + width;
    }
    write_out(rows > 0 ? fmt::format("\x1B[{}A\r\x1B[J", rows) : "\r\x1B[J");
  }

  // False where there is none yet, or bytes that are none were dropped.
  bool take_character(wchar_t& c) {
    const std::string_view bytes = bytes_.pending();
    std::mbstate_t state{};
    const std::size_t n = std::mbrtowc(&c, bytes.data(), bytes.size(), &state);
    if (n == static_cast<std::size_t>(-2)) {  // the rest is on its way
      if (!more_comes() && !interrupted_) bytes_.take(1);
      return false;
    }
    bytes_.take(n == static_cast<std::size_t>(-1) ? 1 : std::max<std::size_t>(n, 1));
    return n != static_cast<std::size_t>(-1);
  }

  // A text becomes part of the line, to be edited, with a sign for each newline. A very long one, or one with keys or
  // bytes in it that are no text, is kept apart, and goes into the message as it is. Ctrl-C drops one that does not end.
  bool take_paste() {
    if (!begins_paste()) return false;
    bytes_.take(kPasteBegin.size());
    std::string text, rest;
    for (;;) {
      const std::size_t searched = text.size() - std::min(text.size(), kPasteEnd.size() - 1);
      text += bytes_.pending();
      bytes_.take(bytes_.pending().size());
      const std::size_t end = text.find(kPasteEnd, searched);
      if (end != std::string_view::npos) {
        rest = text.substr(end + kPasteEnd.size());
        text.resize(end);
        break;
      }
      const bool has_key = text.find(kCtrlC, searched) != std::string::npos;
      const InputBytes::Event event = has_key ? InputBytes::Event::interrupt : bytes_.wait();
      if (event == InputBytes::Event::end) break;
      interrupted_ = event == InputBytes::Event::interrupt;
      if (interrupted_) return false;
    }
    const std::string line = as_line(with_newlines(text));
    if (line.size() > kLongestTyped) {
      insert(wide(line));
      bytes_.put_back(rest);
      return false;
    }
    if (line.empty() && !text.empty()) {
      pasted_ = with_newlines(text);
      bytes_.put_back(rest);
      return true;
    }
    bytes_.put_back(line + rest);
    return false;
  }

  bool begins_paste() {
    while (kPasteBegin.starts_with(bytes_.pending()) && bytes_.pending().size() < kPasteBegin.size()) {
      if (!more_comes()) return false;
    }
    return bytes_.pending().starts_with(kPasteBegin);
  }

  InputBytes bytes_;
  std::vector<std::string> words_;
  std::wstring prompt_;  // libedit prints what is between two \1 with the character behind it
  std::wstring continuation_ = L"\u2026 ";
  LineHistory history_;
  termios terminal_before_ = state_of_terminal();
  termios quiet_ = quiet(terminal_before_);  // while nobody reads
  EditLine* edit_ = el_init("llamajit", stdin, stdout, stderr);
  std::optional<std::string> pasted_;
  bool continues_ = false;
  bool interrupted_ = false;
};

}  // namespace

std::optional<std::string> make_history_folder() {
  const std::optional<fs::path> path = history_path();
  if (!path) return std::nullopt;
  std::error_code error;
  fs::create_directories(path->parent_path(), error);
  const fs::path real = fs::canonical(path->parent_path(), error);
  return error ? std::nullopt : std::optional(real.string());
}

std::unique_ptr<ChatInput> edit_lines(Signals& signals, bool color, std::vector<std::string> words) {
  use_utf8();  // the history is read by it, too
  return std::make_unique<LineEditor>(signals, color, std::move(words));
}

}  // namespace llamajit::cli
