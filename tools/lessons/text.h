// The lessons' text: docs/lessons/NAME.md and NAME.ko.md, which the build puts into the program.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tools/lessons/language.h"

namespace llamajit::cli {

struct LessonText {
  std::string_view lesson;
  Language language;
  std::string_view markdown;
};
std::span<const LessonText> lesson_texts();

// A text's parts; the languages have the same ones in the same order.
struct LessonParts {
  std::string_view title;  // without the "# "
  std::string_view idea;   // what stands before the first section
  std::string_view tiers;  // the section that says what changes between tiers, without its heading
};
// All of a lesson's text.
std::string_view lesson_text(std::string_view lesson, Language language);
LessonParts lesson_parts(std::string_view markdown);

}  // namespace llamajit::cli
