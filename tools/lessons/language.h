// The languages that lessons speak.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llamajit::cli {

enum class Language : std::uint8_t { en, ko };

// --lang, or what LC_ALL, LC_MESSAGES or LANG, the first of them that is set, say: Korean where that begins
// with "ko". Throws std::invalid_argument for a name that is neither.
Language choose_language(const std::optional<std::string>& name);

// These words stand between the parts of a lesson. Those with {} are formats.
struct LessonWords {
  std::string_view list_head;  // of `lesson` alone
  std::string_view list_foot;
  std::string_view numbers;
  std::string_view listing;     // {} tier
  std::string_view no_listing;  // for the scalar tier
  std::string_view result;
  std::string_view twin;
  std::string_view same;
  std::string_view different;
  std::string_view not_run;  // {} tier
  std::string_view tiers;
  std::array<std::string_view, 6> columns;  // of the table of tiers
  std::string_view ticks;                   // what the last column is
  std::string_view more;                    // {} lesson
  std::string_view values;                  // {} how many

  // These belong to the lesson on a model.
  std::string_view prompt;
  std::string_view steps;          // {} token, {} position, {} tier
  std::string_view begins;         // what comes before the layers
  std::string_view layers;         // {} how many
  std::string_view layers_differ;  // where not all call the same kernels
  std::string_view ends;           // what comes behind them
  std::string_view whole;          // all of a token
  std::array<std::string_view, 5> step_columns;
  std::string_view chosen;
  std::string_view too_large;  // {} weights
  std::array<std::string_view, 5> model_columns;
};
const LessonWords& lesson_words(Language language);

}  // namespace llamajit::cli
