#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <optional>
#include <string>

#include "tokenizer/newer_unicode.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

int characters_of(std::string_view text) {
  int count = 0;
  for (; !text.empty(); text.remove_prefix(utf8_length(text))) ++count;
  return count;
}

// use(part) for each `length` characters of a run, and what is left of it; from_end: that comes first.
template <class Use>
void cut_evenly(std::string_view run, int length, bool from_end, const Use& use) {
  int wanted = from_end ? characters_of(run) % length : 0;
  while (!run.empty()) {
    if (wanted == 0) wanted = length;
    std::size_t end = 0;
    for (; wanted > 0 && end < run.size(); --wanted) end += utf8_length(run.substr(end));
    use(run.substr(0, end));
    run.remove_prefix(end);
  }
}

// use(part) for each part that a step cuts a word into.
template <class Step, class Use>
void cut(const Step& step, std::string_view word, RegexScratch& scratch, const Use& use) {
  std::size_t at = 0;
  while (const auto match = step.regex.find(word, at, scratch)) {
    if (match->begin > at) use(word.substr(at, match->begin - at));
    const std::string_view matched = word.substr(match->begin, match->end - match->begin);
    if (match->group) {
      cut_evenly(matched, step.cut, step.from_end, use);
    } else {
      use(matched);
    }
    at = match->end;
    if (at == word.size()) return;
  }
  use(word.substr(at));
}

}  // namespace

PreTokenizer::PreTokenizer(const PreTokenizerRule& rule) {
  for (const CutStep& step : rule.steps) {
    std::string pattern(step.pattern);
    for (std::size_t at; (at = pattern.find('@')) != std::string::npos && !step.characters.empty();) {
      pattern.replace(at, 1, step.characters);
    }
    steps_.push_back({Regex(pattern), step.cut, step.from_end});
  }
}

void PreTokenizer::split(std::string_view text, const UseWord& use) const {
  RegexScratch scratch;
  while (!text.empty()) {
    const std::size_t good = utf8_well_formed(text);
    if (good > 0) split_well_formed(text.substr(0, good), scratch, use);
    text.remove_prefix(good);
    const std::size_t bad = utf8_ill_formed(text);
    if (bad > 0) use(text.substr(0, bad));
    text.remove_prefix(bad);
  }
}

// The expressions see characters that they know; the words are the text's own.
void PreTokenizer::split_well_formed(std::string_view text, RegexScratch& scratch, const UseWord& use) const {
  const std::optional<std::string> older = with_older_characters(text);
  if (!older) return cut_from(0, text, scratch, use);
  cut_from(0, *older, scratch, [&](std::string_view word) {
    use(text.substr(static_cast<std::size_t>(word.data() - older->data()), word.size()));
  });
}

// Each part of a word goes through all steps before the next part does, so that no list of words is kept.
void PreTokenizer::cut_from(std::size_t step, std::string_view word, RegexScratch& scratch,
                            const UseWord& use) const {
  const bool one_character = utf8_length(word) == word.size();  // nothing to cut
  if (step == steps_.size() || one_character) return use(word);
  cut(steps_[step], word, scratch, [&](std::string_view part) { cut_from(step + 1, part, scratch, use); });
}

const PreTokenizerRule* find_pre_tokenizer_rule(std::string_view name) {
  const auto rules = pre_tokenizer_rules();
  const auto found = std::ranges::find(rules, name, &PreTokenizerRule::name);
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace llamajit
