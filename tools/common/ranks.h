// Where the program is one of several processes that run a model together: rank 0 does what it does anyway, and the
// others follow its engines.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ranks.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/verify.h"

namespace llamajit::cli {

struct ProgramRanks {
  Ranks* ranks = nullptr;
  std::vector<std::string> hosts{};  // of each rank
  std::vector<int> shares{};         // empty: even
  bool measures_shares = false;      // instead, whenever a model is opened
  // Each rank has as many threads as there are CPUs for it, not as many as rank 0 says.
  bool own_threads = true;
  // Called before the ranks load a model: until the next exchange it may take a while.
  std::function<void()> expect_loading = [] {};
};
// Before any engine is made. What it points to must outlive all.
void set_program_ranks(ProgramRanks ranks);
bool is_one_of_ranks();

// For an engine that is about to be made of a file, on rank 0: the other ranks open the file, too, and make engines that
// follow it. Throws std::runtime_error that names the rank, its host and the file where one of them can't. Alone, it
// returns the options as they are.
EngineOptions on_ranks(EngineOptions options, const ModelFile& file);
// The same for verify_kernels() and verify_packing(): the others make the same calls.
struct VerifyCounts {
  std::int64_t values = 0, different = 0, wrong_weights = 0;
  bool good() const { return different == 0 && wrong_weights == 0; }
};
void verify_on_ranks(const ModelFile& file, const std::vector<jit::Tier>& tiers, const Precision& precision);
// What a rank counts of these tiers, calling see(tier, row) for each kernel; alone, too.
VerifyCounts count_verified(const ModelFile& file, const std::vector<jit::Tier>& tiers,
                            const Precision& precision, int threads,
                            const std::function<void(jit::Tier, const VerifyRow&)>& see);
// What came of it, of each rank.
std::vector<VerifyCounts> gather_counts(const VerifyCounts& own);
const std::vector<std::string>& hosts_of_ranks();

// The life of a rank other than 0: follows until rank 0 says that it is over.
void follow_program(const std::optional<std::string>& isa);
// On rank 0: it is over.
void release_ranks();

}  // namespace llamajit::cli
