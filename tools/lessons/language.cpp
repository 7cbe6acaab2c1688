#include "tools/lessons/language.h"

#include <cstdlib>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit::cli {
namespace {

constexpr LessonWords kEnglish = {
    .list_head = "Lessons: each generates a small kernel, runs it on numbers, and explains it.",
    .list_foot =
        "llamajit lesson NAME [NUMBERS -- NUMBERS …]; --text prints all of its text, --lang ko in Korean.",
    .numbers = "The numbers",
    .listing = "The kernel that was generated for them, on the tier {}",
    .no_listing = "The scalar tier generates nothing: the twin itself runs. --isa names another tier.",
    .result = "The result",
    .twin = "its scalar twin",
    .same = "the same bits",
    .different = "other bits",
    .not_run = "this CPU lacks {}: the twin's result alone",
    .tiers = "On each tier of this CPU",
    .columns = {"tier", "instructions", "vector", "bytes", "ticks", "result"},
    .ticks =
        "ticks: of the time stamp counter (TSC) for one call, the median of many. It counts at one rate, "
        "whatever the core's clock is.",
    .more = "All of this lesson: llamajit lesson {} --text",
    .values = "{} values",
    .prompt = "The prompt, in tokens",
    .steps = "Every step of the token {} at position {}, on the tier {}",
    .begins = "at the beginning",
    .layers = "layers: {}, ticks of all together",
    .layers_differ = "in the layers",
    .ends = "at the end",
    .whole = "the whole token",
    .step_columns = {"  kernel", "shape", "ticks", "share", "what it does"},
    .chosen = "The token it chooses, and those that came close",
    .too_large = "Not run on other tiers: more than {} weights.",
    .model_columns = {"tier", "kernels", "bytes", "ticks of a token", "logits"},
};

constexpr LessonWords kKorean = {
    .list_head = "수업 목록: 수업마다 작은 커널을 생성해 숫자로 실행해 보고 설명합니다.",
    .list_foot =
        "llamajit lesson 이름 [숫자 -- 숫자 …]; --text는 본문 전체를, --lang en은 영어로 출력합니다.",
    .numbers = "숫자",
    .listing = "이 숫자를 위해 {} 티어로 생성한 커널 (주석은 영어입니다)",
    .no_listing =
        "scalar 티어는 코드를 생성하지 않고 쌍둥이 함수를 그대로 실행합니다. 다른 티어는 --isa로 고릅니다.",
    .result = "결과",
    .twin = "스칼라 쌍둥이",
    .same = "비트까지 같음",
    .different = "비트가 다름",
    .not_run = "이 CPU에는 {} 티어가 없어 쌍둥이의 결과만 보여 줍니다",
    .tiers = "이 CPU의 티어마다",
    .columns = {"티어", "명령어", "벡터", "바이트", "틱", "결과"},
    .ticks =
        "틱: 한 번 호출하는 동안의 타임스탬프 카운터(TSC) 값이며, 여러 번 잰 것의 중앙값입니다. 코어의 "
        "클록과 관계없이 일정한 속도로 셉니다.",
    .more = "이 수업의 본문 전체: llamajit lesson {} --text",
    .values = "값 {}개",
    .prompt = "프롬프트의 토큰",
    .steps = "토큰 {}: 위치 {}에서 거치는 모든 단계 ({} 티어)",
    .begins = "처음",
    .layers = "층 {}개 (틱은 모두 합한 값)",
    .layers_differ = "층들",
    .ends = "끝",
    .whole = "토큰 전체",
    .step_columns = {"  커널", "모양", "틱", "비율", "하는 일"},
    .chosen = "모델이 고른 토큰과 그다음 후보들",
    .too_large = "가중치가 {}개보다 많아 다른 티어에서는 실행하지 않았습니다.",
    .model_columns = {"티어", "커널", "바이트", "토큰 하나의 틱", "로짓"},
};

// Returns the language that the environment asks for; "" where it says nothing.
std::string_view locale() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

Language choose_language(const std::optional<std::string>& name) {
  if (!name) return locale().starts_with("ko") ? Language::ko : Language::en;
  if (*name == "en") return Language::en;
  if (*name == "ko") return Language::ko;
  throw std::invalid_argument(fmt::format("--lang: expected en or ko, found '{}'", *name));
}

const LessonWords& lesson_words(Language language) {
  return language == Language::ko ? kKorean : kEnglish;
}

}  // namespace llamajit::cli
