// `llamajit lesson` is asked for a lesson with this.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/base/isa.h"
#include "tools/common/inspection.h"
#include "tools/lessons/exercise.h"
#include "tools/lessons/language.h"

namespace llamajit::cli {

// A kernel's lesson: the idea, the numbers, the listing, the results, and a table of tiers. Returns the exit
// code: kFailure if the kernel and its twin differ.
int kernel_lesson(const Lesson& lesson, Exercise exercise, jit::Isa isa, Language language,
                  const InspectionFlags& inspection);

struct ModelLessonOptions {
  std::string model;
  std::optional<std::string> tokenizer;  // tokenizer.bin
  std::string prompt;
  std::optional<std::string> isa;
  Language language;
  InspectionFlags inspection;
};
// One token's way through a model, kernel by kernel, and the token that comes next. Returns the exit code:
// kFailure if a tier's logits differ.
int model_lesson(const ModelLessonOptions& options);

}  // namespace llamajit::cli
