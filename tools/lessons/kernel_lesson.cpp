#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jit/code/code_cache.h"
#include "jit/code/isa_choice.h"
#include "jit/inspect/listing.h"
#include "jit/inspect/publication.h"
#include "tools/common/cli.h"
#include "tools/common/measured_kernels.h"
#include "tools/lessons/lesson.h"
#include "tools/lessons/table.h"
#include "tools/lessons/text.h"
#include "tools/lessons/ticks.h"

namespace llamajit::cli {
namespace {

using Results = std::vector<Exercise::Result>;

bool same_bits(const Results& a, const Results& b) {
  return std::ranges::equal(a, b, [](const Exercise::Result& left, const Exercise::Result& right) {
    return std::memcmp(left.values.data(), right.values.data(), left.values.size() * sizeof(float)) == 0;
  });
}

// Where nothing is written, a NaN stays.
void forget_results(Exercise& exercise) {
  for (Exercise::Result& result : exercise.results) {
    std::ranges::fill(result.values, std::numeric_limits<float>::quiet_NaN());
  }
}

Results results_of_twin(const Exercise& exercise) {
  jit::run_reference(exercise.key, exercise.args_address());
  return exercise.results;
}

class KernelLesson {
 public:
  KernelLesson(const Lesson& lesson, Exercise exercise, jit::Isa isa, Language language)
      : lesson_(lesson),
        exercise_(std::move(exercise)),
        isa_(isa),
        words_(lesson_words(language)),
        parts_(lesson_parts(lesson_text(lesson.name, language))),
        twin_(results_of_twin(exercise_)) {}

  int give(const InspectionFlags& inspection) {
    out_ = fmt::format("{}\n\n{}\n", parts_.title, parts_.idea);
    numbers();
    listing();
    results(inspection);
    tiers();
    out_ += fmt::format("\n{}\n\n{}\n", parts_.tiers, fmt::format(fmt::runtime(words_.more), lesson_.name));
    write_out(out_);
    return agree_ ? kOk : kFailure;
  }

 private:
  void heading(std::string_view words) { out_ += fmt::format("\n--- {}\n", words); }

  void numbers() {
    heading(words_.numbers);
    for (std::size_t i = 0; i < lesson_.lists.size(); ++i) {
      out_ += fmt::format("{} = {}\n", lesson_.lists[i], shown(exercise_.inputs[i]));
    }
    for (const auto& [name, value] : exercise_.facts) out_ += fmt::format("{}: {}\n", name, value);
  }

  // The first of them.
  std::string shown(std::span<const float> values) const {
    constexpr std::size_t kShown = 16;
    if (values.size() <= kShown) return fmt::format("{}", fmt::join(values, " "));
    return fmt::format("{} … ({})", fmt::join(values.first(kShown), " "),
                       fmt::format(fmt::runtime(words_.values), values.size()));
  }

  void listing() {
    if (!isa_.generates()) return heading(words_.no_listing);
    heading(fmt::format(fmt::runtime(words_.listing), to_string(isa_.tier)));
    using Kind = jit::inspect::ListingLine::Kind;
    std::string constant;  // the line of data before
    for (jit::inspect::ListingLine& line : jit::inspect::make_listing(isa_, exercise_.key).lines) {
      if (line.kind == Kind::directive || line.kind == Kind::padding) continue;
      if (line.kind == Kind::data && line.text == constant) continue;
      constant = line.kind == Kind::data ? line.text : "";
      if (line.kind == Kind::data) line.text = once(line.text);
      out_ += to_text(line) + "\n";
    }
  }

  // ".long 1, …" for ".long 1, 1, 1, 1": what is the same in all lanes.
  static std::string once(const std::string& data) {
    const std::size_t first = data.find(' ');
    const std::size_t comma = data.find(", ");
    if (comma == std::string::npos) return data;
    const std::string value = data.substr(first, comma - first);
    const std::size_t second_end = data.find(',', comma + 2);
    if (data.substr(comma + 1, second_end - comma - 1) != value) return data;
    return data.substr(0, comma) + ", …";
  }

  void results(const InspectionFlags& inspection) {
    const bool runs = runs_here(isa_);
    heading(words_.result);
    if (!runs) out_ += fmt::format(fmt::runtime(words_.not_run), to_string(isa_.tier)) + "\n";
    if (runs) {
      run(isa_, publication_options(inspection));
      show(exercise_.results);
    }
    out_ += fmt::format("{}:\n", words_.twin);
    show(twin_);
    if (runs) out_ += fmt::format("{}\n", verdict());
  }

  void show(const Results& results) {
    constexpr std::size_t kLines = 8;
    for (const Exercise::Result& result : results) {
      const std::span<const float> values = result.values;
      for (std::size_t at = 0; at < std::min(values.size(), kLines * result.columns); at += result.columns) {
        out_ += fmt::format("  {} = {}\n", result.name, shown(values.subspan(at, result.columns)));
      }
    }
  }

  std::string_view verdict() {
    const bool same = same_bits(exercise_.results, twin_);
    agree_ = agree_ && same;
    return same ? words_.same : words_.different;
  }

  // The tier's kernel, or the twin itself, on the numbers; returns its ticks.
  double run(jit::Isa isa, const jit::inspect::PublicationOptions& options) {
    jit::CodeCache code(isa);
    std::visit([&](const auto& key) { code.get(key); }, exercise_.key);
    code.publish(options.gdb);
    const jit::inspect::Publication publication(code, options);
    log_publication(publication);
    const jit::KernelInfo& kernel = code.kernels().front();
    forget_results(exercise_);
    return ticks_of([&] { kernel.entry(exercise_.args_address(), kernel.key_address()); });
  }

  void tiers() {
    heading(words_.tiers);
    TextTable table({words_.columns.begin(), words_.columns.end()}, "lrrrrl");
    for (const jit::Tier tier : jit::usable_tiers()) {
      const jit::Isa isa{tier};
      const double ticks = run(isa, {});
      std::vector<std::string> row = {std::string(to_string(tier)), "-", "-", "-"};
      if (isa.generates()) {
        const jit::inspect::Listing listing = jit::inspect::make_listing(isa, exercise_.key);
        row = {std::string(to_string(tier)), std::to_string(listing.instructions),
               std::to_string(listing.vector_instructions), std::to_string(listing.bytes.size())};
      }
      row.push_back(fmt::format("{:.0f}", ticks));
      row.emplace_back(verdict());
      table.add(std::move(row));
    }
    out_ += table.text() + fmt::format("{}\n", words_.ticks);
  }

  const Lesson& lesson_;
  Exercise exercise_;
  const jit::Isa isa_;
  const LessonWords& words_;
  const LessonParts parts_;
  const Results twin_;
  bool agree_ = true;
  std::string out_;
};

}  // namespace

int kernel_lesson(const Lesson& lesson, Exercise exercise, jit::Isa isa, Language language,
                  const InspectionFlags& inspection) {
  return KernelLesson(lesson, std::move(exercise), isa, language).give(inspection);
}

}  // namespace llamajit::cli
