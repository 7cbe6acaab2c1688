#include "tools/lessons/text.h"

#include <algorithm>
#include <cassert>

namespace llamajit::cli {
namespace {

constexpr std::string_view kSection = "\n## ";
// Which section speaks of tiers; the first explains the instructions.
constexpr int kTiersSection = 1;

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of('\n');
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of('\n') - begin + 1);
}

std::string_view behind_first_line(std::string_view text) {
  return text.substr(std::min(text.find('\n'), text.size()));
}

}  // namespace

std::string_view lesson_text(std::string_view lesson, Language language) {
  const auto found = std::ranges::find_if(lesson_texts(), [&](const LessonText& text) {
    return text.lesson == lesson && text.language == language;
  });
  assert(found != lesson_texts().end());
  return found->markdown;
}

LessonParts lesson_parts(std::string_view markdown) {
  const std::size_t first = markdown.find(kSection);
  const std::string_view head = markdown.substr(0, first);
  LessonParts parts{head.substr(2, head.find('\n') - 2), trimmed(behind_first_line(head)), ""};
  std::size_t at = first;
  for (int i = 0; i < kTiersSection; ++i) at = markdown.find(kSection, at + 1);
  const std::string_view section =
      markdown.substr(at, markdown.find(kSection, at + 1) - at).substr(kSection.size());
  parts.tiers = trimmed(behind_first_line(section));
  return parts;
}

}  // namespace llamajit::cli
