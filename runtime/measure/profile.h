// A profile says what each kernel costs: a token, or a chunk of the prompt,
// is walked call by call on one thread with the clock beside it.
#pragma once

#include <vector>

#include "runtime/forward/engine.h"
#include "runtime/measure/kernel_work.h"

namespace llamajit {

struct KernelProfile {
  const jit::KernelInfo* kernel = nullptr;
  int calls = 0;
  double seconds = 0;  // of all these calls
  KernelWork work;     // of all these calls
};

struct Profile {
  std::vector<KernelProfile> kernels;  // in the order of their first calls
  int tokens = 0;
  int position = 0;           // of the first of them
  double seconds = 0;         // of all kernels together
  std::vector<double> steps;  // of profile_token: seconds of each of token_steps()

  // The share of the time that a kernel takes; 0 where it is not called.
  double share(const jit::KernelInfo& kernel) const;
  const KernelProfile* find(const jit::KernelInfo& kernel) const;
};

// What one token calls, feed and classify, by the first thread.
std::vector<const Step*> token_steps(const TokenProgram& program);
// Runs them, as the one thread of a program, and calls ran(i) behind each.
template <class Ran>
void run_token_steps(TokenProgram& program, const std::vector<const Step*>& steps, Ran ran) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for_each_call(*steps[i], {}, 0, program.feed.walks,
                  [](const Target& target, const void* args) { target.call(args); });
    ran(i);
  }
  ++program.feed.walks;  // whose deals begin anew; with one thread the classifier has none
}

// The calls that one token would make, without running them: for tiers that this CPU lacks.
Profile count_token(Engine& engine);

// One token at `position` (>= 0, < context), of many repeats the median of each call; positions before it are
// filled first. For an engine of one thread.
Profile profile_token(Engine& engine, int position);

// A whole token at `position`, whose predecessors were fed,
// with no clock inside: the median of many repeats, in seconds.
double token_seconds(Engine& engine, int position);

// A chunk of n_tokens from position 0 on, the faster of some repeats. For an engine of one thread.
Profile profile_prompt(Engine& engine, int n_tokens);

}  // namespace llamajit
