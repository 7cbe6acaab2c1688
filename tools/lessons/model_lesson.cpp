#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jit/code/isa_choice.h"
#include "jit/inspect/contract.h"
#include "runtime/base/numbers.h"
#include "runtime/measure/profile.h"
#include "tokenizer/utf8.h"
#include "tools/common/cli.h"
#include "tools/common/model_input.h"
#include "tools/lessons/lesson.h"
#include "tools/lessons/table.h"
#include "tools/lessons/text.h"
#include "tools/lessons/ticks.h"

namespace llamajit::cli {
namespace {

// A model has at most so many weights, that the scalar twins take no longer over it than a reader waits.
constexpr std::int64_t kLargest = 20'000'000;

std::int64_t weights_of(const ModelFile& file) {
  std::int64_t weights = 0;
  for (const Tensor* tensor : file.tensors()) weights += tensor->rows * tensor->cols;
  return weights;
}

// Ticks of each step, medians of many tokens.
std::vector<double> ticks_of_steps(TokenProgram& program, const std::vector<const Step*>& steps) {
  constexpr std::chrono::milliseconds kLongest(200);
  constexpr std::size_t kMost = 500;
  constexpr std::size_t kLeast = 3;
  std::vector<std::vector<double>> ticks(steps.size());
  std::vector<double> of_the_clock;
  const auto begin = std::chrono::steady_clock::now();
  while (of_the_clock.size() < kLeast ||
         (of_the_clock.size() < kMost && std::chrono::steady_clock::now() - begin < kLongest)) {
    std::uint64_t before = ticks_now();
    run_token_steps(program, steps, [&](std::size_t i) {
      const std::uint64_t after = ticks_now();
      ticks[i].push_back(static_cast<double>(after - before));
      before = ticks_now();
    });
    const std::uint64_t start = ticks_now();
    of_the_clock.push_back(static_cast<double>(ticks_now() - start));
  }
  const double clock = median(of_the_clock);
  std::vector<double> medians;
  medians.reserve(ticks.size());
  for (std::vector<double>& of_step : ticks) {
    medians.push_back(std::max(median(std::move(of_step)) - clock, 0.0));
  }
  return medians;
}

// A token whose predecessors were fed, with its logits.
struct Walk {
  std::vector<const Step*> steps;
  std::vector<double> ticks;
  std::vector<float> logits;

  double sum() const { return std::accumulate(ticks.begin(), ticks.end(), 0.0); }
};

Walk walk(Engine& engine, const std::vector<TokenId>& tokens) {
  engine.feed_all(tokens, 0);
  const std::span<const float> logits = engine.logits();
  Walk walk{token_steps(engine.token_program()), {}, {logits.begin(), logits.end()}};
  engine.sequence().cut(static_cast<int>(tokens.size()) - 1);
  engine.place({&engine.sequence(), tokens.back(), true});
  walk.ticks = ticks_of_steps(engine.token_program(), walk.steps);
  return walk;
}

class ModelLesson {
 public:
  explicit ModelLesson(const ModelLessonOptions& options)
      : isa_(jit::choose_isa(options.isa).isa),
        input_(open_model_and_tokenizer(options.model, options.tokenizer)),
        words_(lesson_words(options.language)),
        parts_(lesson_parts(lesson_text("model", options.language))),
        tokens_(input_.tokenizer->encode(options.prompt, {.eos = false})),
        engine_(input_.model, {.isa = isa_, .publication = publication_options(options.inspection)}) {
    refuse_encoder(input_.model);
    log_publication(engine_.publication());
    if (tokens_.empty() || std::ssize(tokens_) > engine_.context()) {
      throw std::invalid_argument(fmt::format("--prompt: expected 1 to {}, found {}",
                                              counted(engine_.context(), "token"), tokens_.size()));
    }
  }

  int give() {
    walk_ = walk(engine_, tokens_);
    out_ = fmt::format("{}\n\n{}\n", parts_.title, parts_.idea);
    heading(words_.prompt);
    for (const TokenId token : tokens_) out_ += fmt::format("{:>6}  {}\n", token, text_of(token));
    steps();
    chosen();
    const bool agree = tiers();
    out_ += fmt::format("\n{}\n\n{}\n", parts_.tiers, fmt::format(fmt::runtime(words_.more), "model"));
    write_out(out_);
    return agree ? kOk : kFailure;
  }

 private:
  void heading(std::string_view words) { out_ += fmt::format("\n--- {}\n", words); }

  std::string text_of(TokenId token) const {
    return fmt::format("'{}'", escaped(input_.tokenizer->vocab()[token].bytes));
  }

  // How many steps each layer has, if all layers call the same kernels; otherwise 0.
  std::size_t steps_of_layer() const {
    const auto layers = static_cast<std::size_t>(engine_.config().n_layers);
    const std::size_t in_layers = engine_.token_program().feed.threads.front().size() - 1;
    if (in_layers % layers != 0) return 0;
    const std::size_t each = in_layers / layers;
    for (std::size_t i = 1; i + each < 1 + in_layers; ++i) {
      if (walk_.steps[i]->target.kernel != walk_.steps[i + each]->target.kernel) return 0;
    }
    return each;
  }

  void steps() {
    heading(fmt::format(fmt::runtime(words_.steps), text_of(tokens_.back()), tokens_.size() - 1,
                        to_string(isa_.tier)));
    TextTable table({words_.step_columns.begin(), words_.step_columns.end()}, "llrrl");
    const std::size_t fed = engine_.token_program().feed.threads.front().size();
    const std::size_t each = steps_of_layer();
    const auto layers = static_cast<std::size_t>(engine_.config().n_layers);
    add_steps(table, words_.begins, 0, 1, 1);
    if (each > 0) {
      add_steps(table, fmt::format(fmt::runtime(words_.layers), layers), 1, each, layers);
    } else {
      add_steps(table, words_.layers_differ, 1, fed - 1, 1);
    }
    add_steps(table, words_.ends, fed, walk_.steps.size() - fed, 1);
    table.add({std::string(words_.whole), "", fmt::format("{:.0f}", walk_.sum()), "100.0%", ""});
    out_ += table.text() + fmt::format("{}\n", words_.ticks);
  }

  // `count` steps from `begin` on, each together with those
  // that follow it `count` steps apart, so many `turns`.
  void add_steps(TextTable& table, std::string_view title, std::size_t begin, std::size_t count,
                 std::size_t turns) {
    table.add({std::string(title), "", "", "", ""});
    for (std::size_t i = begin; i < begin + count; ++i) {
      double ticks = 0;
      for (std::size_t turn = 0; turn < turns; ++turn) ticks += walk_.ticks[i + turn * count];
      const jit::KernelInfo& kernel = *walk_.steps[i]->target.kernel;
      table.add({fmt::format("  {}", kernel.name), kernel_shape(kernel.key), fmt::format("{:.0f}", ticks),
                 fmt::format("{:.1f}%", 100 * ticks / walk_.sum()),
                 jit::inspect::kernel_formula(kernel.key)});
    }
  }

  // The likeliest tokens with their probabilities: softmax by hand, as the lesson on attention has it.
  void chosen() {
    heading(words_.chosen);
    constexpr std::size_t kShown = 5;
    const std::vector<float>& logits = walk_.logits;
    std::vector<TokenId> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    const std::size_t shown = std::min(kShown, ids.size());
    // Where some are equal, the first comes first, as argmax has it.
    std::ranges::partial_sort(
        ids, ids.begin() + static_cast<std::ptrdiff_t>(shown), [&](TokenId a, TokenId b) {
          const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
          return left > right || (left == right && a < b);
        });
    const double largest = logits[static_cast<std::size_t>(ids[0])];
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit - largest);
    for (std::size_t i = 0; i < shown; ++i) {
      const double logit = logits[static_cast<std::size_t>(ids[i])];
      out_ += fmt::format("{:>6}  {:>5.1f}%  {}\n", ids[i], 100 * std::exp(logit - largest) / sum,
                          text_of(ids[i]));
    }
  }

  // Whether all tiers, the twins' among them, gave the same logits.
  bool tiers() {
    heading(words_.tiers);
    if (weights_of(input_.model) > kLargest) {
      out_ += fmt::format(fmt::runtime(words_.too_large), kLargest) + "\n";
      return true;
    }
    bool agree = true;
    TextTable table({words_.model_columns.begin(), words_.model_columns.end()}, "lrrrl");
    for (const jit::Tier tier : jit::usable_tiers()) {
      Engine engine(input_.model, {.isa = {tier}});
      const Walk other = walk(engine, tokens_);
      const bool same =
          std::memcmp(other.logits.data(), walk_.logits.data(), walk_.logits.size() * sizeof(float)) == 0;
      agree = agree && same;
      table.add({std::string(to_string(tier)), std::to_string(engine.code().kernels().size()),
                 std::to_string(engine.code().code_bytes()), fmt::format("{:.0f}", other.sum()),
                 std::string(same ? words_.same : words_.different)});
    }
    out_ += table.text();
    return agree;
  }

  const jit::Isa isa_;
  const ModelAndTokenizer input_;
  const LessonWords& words_;
  const LessonParts parts_;
  const std::vector<TokenId> tokens_;
  Engine engine_;
  Walk walk_;
  std::string out_;
};

}  // namespace

int model_lesson(const ModelLessonOptions& options) {
  return ModelLesson(options).give();
}

}  // namespace llamajit::cli
