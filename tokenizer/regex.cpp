#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8  // NOLINT: PCRE2 asks for it

#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <pcre2.h>

namespace llamajit {
namespace {

// Steps back of one attempt to match: a few for each byte.
constexpr std::size_t kStepsPerByte = 16;
constexpr std::size_t kSteps = 1000;
constexpr std::uint32_t kHeapKib = 256;

std::string message_of(int error) {
  std::array<unsigned char, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

// Unicode's White_Space; PCRE2's own \s counts U+180E, too.
// Written out, as classes without properties are matched faster.
constexpr std::string_view kSpaces =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

std::string with_unicode_spaces(std::string_view pattern) {
  std::string result;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '[') in_class = true;
    if (pattern[i] == ']') in_class = false;
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      result += pattern[i];
      continue;
    }
    ++i;
    if (pattern[i] == 's') {
      result += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
    } else if (pattern[i] == 'S') {
      result += in_class ? "\\P{White_Space}" : fmt::format("[^{}]", kSpaces);
    } else {
      result.append(pattern.substr(i - 1, 2));
    }
  }
  return result;
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct RegexScratch::State {
  State() : match(pcre2_match_data_create(2, nullptr)), context(pcre2_match_context_create(nullptr)) {
    if (match == nullptr || context == nullptr) throw std::bad_alloc();
    pcre2_set_heap_limit(context, kHeapKib);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
  }

  pcre2_match_data* match;  // of the whole and of the first group
  pcre2_match_context* context;
};

RegexScratch::RegexScratch() : state_(std::make_unique<State>()) {}
RegexScratch::~RegexScratch() = default;

struct Regex::Code {
  explicit Code(pcre2_code* compiled) : code(compiled) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }

  pcre2_code* code;
};

Regex::Regex(std::string_view pattern) {
  const std::string source = with_unicode_spaces(pattern);
  int error = 0;
  std::size_t offset = 0;
  pcre2_code* const code =
      pcre2_compile(units(source), source.size(), PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (code == nullptr) {
    throw std::invalid_argument(
        fmt::format("regular expression '{}': {} at byte {}", source, message_of(error), offset));
  }
  code_ = std::make_unique<Code>(code);
}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::optional<Regex::Match> Regex::find(std::string_view text, std::size_t from,
                                        RegexScratch& scratch) const {
  const RegexScratch::State& state = *scratch.state_;
  const std::size_t limit =
      std::min<std::size_t>(kSteps + kStepsPerByte * text.size(), std::numeric_limits<std::uint32_t>::max());
  pcre2_set_match_limit(state.context, static_cast<std::uint32_t>(limit));
  // Checking the text's encoding again for each match would take quadratic time.
  const int found = pcre2_match(code_->code, units(text), text.size(), from,
                                PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, state.match, state.context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    throw std::runtime_error(fmt::format("text to encode: cutting it into words, from byte {} of {}: {}",
                                         from, text.size(), message_of(found)));
  }
  const std::size_t* const ends = pcre2_get_ovector_pointer(state.match);
  return Match{ends[0], ends[1], found > 1};
}

}  // namespace llamajit
