#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <string>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using Words = std::vector<std::string_view>;

// Appends a word, unless it is empty.
void append(Words& words, std::string_view word) {
  if (!word.empty()) words.push_back(word);
}

void append_cut(Words& words, std::string_view run, int length) {
  while (!run.empty()) {
    std::size_t end = 0;
    for (int i = 0; i < length && end < run.size(); ++i) end += utf8_length(run.substr(end));
    words.push_back(run.substr(0, end));
    run.remove_prefix(end);
  }
}

void cut(const Regex& regex, int length, std::string_view word, Words& words, RegexScratch& scratch) {
  if (utf8_length(word) == word.size()) return words.push_back(word);  // one character: nothing to cut
  std::size_t at = 0;
  while (const auto match = regex.find(word, at, scratch)) {
    append(words, word.substr(at, match->begin - at));
    const std::string_view matched = word.substr(match->begin, match->end - match->begin);
    if (match->group) {
      append_cut(words, matched, length);
    } else {
      words.push_back(matched);
    }
    at = match->end;
    if (at == word.size()) return;
  }
  append(words, word.substr(at));
}

}  // namespace

PreTokenizer::PreTokenizer(const PreTokenizerRule& rule) {
  for (const CutStep& step : rule.steps) {
    std::string pattern(step.pattern);
    for (std::size_t at; (at = pattern.find('@')) != std::string::npos && !step.characters.empty();) {
      pattern.replace(at, 1, step.characters);
    }
    steps_.push_back({Regex(pattern), step.cut});
  }
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
  Words result;
  Words words;
  Words next;
  RegexScratch scratch;
  while (!text.empty()) {
    const std::size_t good = utf8_well_formed(text);
    words.assign(1, text.substr(0, good));
    if (good == 0) words.clear();
    for (const Step& step : steps_) {
      next.clear();
      for (const std::string_view word : words) cut(step.regex, step.cut, word, next, scratch);
      std::swap(words, next);
    }
    result.insert(result.end(), words.begin(), words.end());
    text.remove_prefix(good);
    const std::size_t bad = utf8_ill_formed(text);
    append(result, text.substr(0, bad));
    text.remove_prefix(bad);
  }
  return result;
}

const PreTokenizerRule* find_pre_tokenizer_rule(std::string_view name) {
  const auto rules = pre_tokenizer_rules();
  const auto found = std::ranges::find(rules, name, &PreTokenizerRule::name);
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace llamajit
