// The kernels of docs/lessons/: small ones that models do not use, under the same contract as those that they
// do (kernels.h): one order of arithmetic, a scalar twin, the same bits on every tier. Generator and twin of
// each stand together in one file.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

// Accumulators of a lesson's sum over n values: no more than it has whole vectors of sixteen.
constexpr int lesson_ways(int n) {
  return n >= 64 ? 4 : n >= 32 ? 2 : 1;
}

// out = a + b.
struct LessonAddArgs {
  const float* a;
  const float* b;
  float* out;

  static constexpr auto fields() {
    return Fields{
        field<&LessonAddArgs::a>("(n)"),
        field<&LessonAddArgs::b>("(n)"),
        field<&LessonAddArgs::out>("(n)"),
    };
  }
};
struct LessonAddKey {
  using Args = LessonAddArgs;
  int n;  // >= 1
  auto operator<=>(const LessonAddKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonAddKey::n>(); }
};

// out = sum of a * b: sixteen lanes, lesson_ways(n) ways, each step rounded once (fma), folded in halves.
struct LessonDotArgs {
  const float* a;
  const float* b;
  float* out;

  static constexpr auto fields() {
    return Fields{
        field<&LessonDotArgs::a>("(n)"),
        field<&LessonDotArgs::b>("(n)"),
        field<&LessonDotArgs::out>("(1)"),
    };
  }
};
struct LessonDotKey {
  using Args = LessonDotArgs;
  int n;  // >= 1
  auto operator<=>(const LessonDotKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonDotKey::n>(); }
};

// Attention with one-dimensional heads and without a mask. For each query: scores s = q * k; weights =
// exp(s - max s) times the inverse of their sum (sixteen lanes in order, folded in halves); out = sum of
// weight * v (sixteen lanes, fma, folded).
struct LessonAttentionArgs {
  const float* q;
  const float* k;
  const float* v;
  float* weights;
  float* out;
  std::int64_t queries;

  static constexpr auto fields() {
    return Fields{
        field<&LessonAttentionArgs::q>("(queries)"),   field<&LessonAttentionArgs::k>("(n)"),
        field<&LessonAttentionArgs::v>("(n)"),         field<&LessonAttentionArgs::weights>("(queries, n)"),
        field<&LessonAttentionArgs::out>("(queries)"), field<&LessonAttentionArgs::queries>(">= 1"),
    };
  }
};
struct LessonAttentionKey {
  using Args = LessonAttentionArgs;
  int n;  // positions, >= 1
  auto operator<=>(const LessonAttentionKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonAttentionKey::n>(); }
};

// out = fma(h, w, x + h): a residual connection, and a feed-forward whose matrix is diagonal, with w on the
// diagonal.
struct LessonFeedForwardArgs {
  const float* x;
  const float* h;
  const float* w;
  float* out;

  static constexpr auto fields() {
    return Fields{
        field<&LessonFeedForwardArgs::x>("(n)"),
        field<&LessonFeedForwardArgs::h>("(n)"),
        field<&LessonFeedForwardArgs::w>("(n)"),
        field<&LessonFeedForwardArgs::out>("(n)"),
    };
  }
};
struct LessonFeedForwardKey {
  using Args = LessonFeedForwardArgs;
  int n;  // >= 1
  auto operator<=>(const LessonFeedForwardKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonFeedForwardKey::n>(); }
};

// out = scale * sum of +x or -x: the dot product of x with weights of one bit, -scale where their bit is set.
// The sum has sixteen lanes, lesson_ways(n) ways, folded in halves.
struct LessonOneBitArgs {
  const std::uint16_t* signs;
  const float* x;
  float* out;
  float scale;

  static constexpr auto fields() {
    return Fields{
        field<&LessonOneBitArgs::signs>("(n / 16, rounded up): bit b of word i is weight 16 i + b"),
        field<&LessonOneBitArgs::x>("(n)"),
        field<&LessonOneBitArgs::out>("(1)"),
        field<&LessonOneBitArgs::scale>("what a weight is, or its negative"),
    };
  }
};
struct LessonOneBitKey {
  using Args = LessonOneBitArgs;
  int n;  // >= 1
  auto operator<=>(const LessonOneBitKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonOneBitKey::n>(); }
};

// A mixture of experts that are one number each. The `used` largest scores, of equal ones the first, are chosen
// one after the other; their experts' weights are exp(score - the largest) divided by the sum of that, in the
// order of choice, all others' 0; out = sum of weight * output of the chosen in that order (fma).
struct LessonExpertsArgs {
  const float* scores;
  const float* outputs;
  float* rest;
  float* weights;
  float* out;

  static constexpr auto fields() {
    return Fields{
        field<&LessonExpertsArgs::scores>("(n)"),
        field<&LessonExpertsArgs::outputs>("(n)"),
        field<&LessonExpertsArgs::rest>("(n rounded up to 16), whose contents before and after mean nothing"),
        field<&LessonExpertsArgs::weights>("(n)"),
        field<&LessonExpertsArgs::out>("(1)"),
    };
  }
};
struct LessonExpertsKey {
  using Args = LessonExpertsArgs;
  static constexpr int kMostUsed = 2;
  int n;     // experts, >= 1
  int used;  // 1 to kMostUsed, at most n
  auto operator<=>(const LessonExpertsKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonExpertsKey::n, &LessonExpertsKey::used>(); }
};

// Linear attention by the delta rule, with one-dimensional heads. For each token, with the state of the one
// before, 0 in the beginning: state = fma(k, v - k * state, state), out = q * state.
struct LessonStateArgs {
  const float* q;
  const float* k;
  const float* v;
  float* states;
  float* out;

  static constexpr auto fields() {
    return Fields{
        field<&LessonStateArgs::q>("(n)"),   field<&LessonStateArgs::k>("(n)"),
        field<&LessonStateArgs::v>("(n)"),   field<&LessonStateArgs::states>("(n): behind each token"),
        field<&LessonStateArgs::out>("(n)"),
    };
  }
};
struct LessonStateKey {
  using Args = LessonStateArgs;
  int n;  // tokens, >= 1
  auto operator<=>(const LessonStateKey&) const = default;

  static constexpr auto fields() { return fields_of<&LessonStateKey::n>(); }
};

template <class Key>
concept LessonKey = std::same_as<Key, LessonAddKey> || std::same_as<Key, LessonDotKey> ||
    std::same_as<Key, LessonAttentionKey> || std::same_as<Key, LessonFeedForwardKey> ||
    std::same_as<Key, LessonOneBitKey> || std::same_as<Key, LessonExpertsKey> ||
    std::same_as<Key, LessonStateKey>;

}  // namespace llamajit::jit
