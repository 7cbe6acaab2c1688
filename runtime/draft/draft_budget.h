// How long a draft pays: what a step of several rows costs beside one of a single row, what a guess costs, and how
// often guesses of a kind are right, all as measured while texts are written. None of it changes a text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "runtime/draft/drafter.h"

namespace llamajit {

enum class DraftKind : std::uint8_t { ngrams, model };

class DraftBudget {
 public:
  static constexpr int kMostRows = 16;  // of a step: more take kernels for prompts

  // With a number, drafts have so many tokens whatever they cost; without one as many as pay, which may be none.
  explicit DraftBudget(std::optional<int> fixed = std::nullopt) : fixed_(fixed) {}

  // Whether a draft may begin in a step that has `rows` without any. Where none pays, one is tried all the same now and
  // then, more seldom each time that it was in vain; it may have kTrial tokens.
  bool may_begin(int rows);
  // Whether a guess of a kind should be made behind a draft that is right with a probability of `right`, in a step that
  // has `rows` already, of which `length` are the draft's guesses.
  bool worth_a_guess(DraftKind kind, double right, int rows, int length) const;
  // And whether one that was made should have a row: it is right, with all before it, with a probability of `right`.
  bool worth_a_row(DraftKind kind, double right, int rows, int length) const;
  // How often such guesses were right behind others that were.
  double chance(DraftKind kind, std::size_t sureness) const;
  double chance(DraftKind kind) const;

  void learn_guesses(DraftKind kind, int guesses, double seconds);
  void learn_outcome(DraftKind kind, std::size_t sureness, bool right);
  // A step of so many rows, which gave so many tokens, with the time that its drafts took beside it.
  void learn_step(int rows, int tokens, double step_seconds, double draft_seconds);

 private:
  static constexpr int kKinds = 2;
  static constexpr int kTrial = 3, kFirstPatience = 16;
  // Numbers of rows up to 1, 4, 8 and 16, for which the engine has programs.
  static constexpr int kPrices = 4;

  struct Tally {
    double right = 1, tried = 2;  // before anything is known, one of two
    void add(bool was_right);
    double rate() const { return right / tried; }
  };

  static std::size_t price_of(int rows);
  double step_price(int rows) const;
  bool pays(DraftKind kind, double right, int rows, double guess_seconds) const;

  std::optional<int> fixed_;
  int rows_alone_ = 1;                          // of the step at hand, without drafts
  std::array<double, kPrices> step_seconds_{};  // 0: not known yet
  std::array<double, kKinds> guess_seconds_{};
  std::array<std::array<Tally, Guess::kSureness>, kKinds> by_sureness_{};
  std::array<Tally, kKinds> by_kind_{};
  double mean_seconds_ = 0, mean_tokens_ = 0;  // of the last steps with their drafts; 0: not known yet
  int plain_steps_ = 0;                        // since the last draft
  int patience_ = kFirstPatience;              // how many of them until one is tried
  bool trial_ = false;
};

}  // namespace llamajit
