#include "tools/common/ranks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/packed_file.h"
#include "tools/common/generation.h"
#include "tools/common/packed_model.h"
#include "tools/common/rank_shares.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

ProgramRanks& program() {
  static ProgramRanks ranks;
  return ranks;
}

enum class Order : std::int32_t { open, verify, end };

// How a rank fared with the file, in a form that all have.
struct Status {
  char key[64] = {};     // of the file, packed_key()
  char error[512] = {};  // empty: none
};

template <std::size_t N>
void copy_text(char (&to)[N], const std::string& text) {
  std::memcpy(to, text.data(), std::min(text.size(), N));
}
template <std::size_t N>
std::string text_of(const char (&from)[N]) {
  return {from, strnlen(from, N)};
}

template <class T>
std::vector<T> gather_all(const T& own) {
  Ranks& ranks = *program().ranks;
  std::vector<T> all(static_cast<std::size_t>(ranks.size()));
  all[static_cast<std::size_t>(ranks.rank())] = own;
  std::vector<std::size_t> ends;
  for (std::size_t i = 1; i <= all.size(); ++i) ends.push_back(i * sizeof(T));
  ranks.gather(std::as_writable_bytes(std::span(all)), ends);
  return all;
}

void add_text(std::vector<std::int32_t>& words, const std::string& text) {
  words.push_back(static_cast<std::int32_t>(text.size()));
  for (const char c : text) words.push_back(static_cast<unsigned char>(c));
}

class Words {
 public:
  explicit Words(std::span<const std::int32_t> left) : left_(left) {}
  std::int32_t next() {
    const std::int32_t word = left_.front();
    left_ = left_.subspan(1);
    return word;
  }
  std::string text() {
    std::string text(static_cast<std::size_t>(next()), ' ');
    for (char& c : text) c = static_cast<char>(next());
    return text;
  }

 private:
  std::span<const std::int32_t> left_;
};

void add_precision(std::vector<std::int32_t>& words, const Precision& precision) {
  words.push_back(precision.kv_type ? static_cast<std::int32_t>(*precision.kv_type) : -1);
  words.push_back(static_cast<std::int32_t>(precision.bf16));
}
Precision read_precision(Words& words) {
  Precision precision;
  const std::int32_t type = words.next();
  if (type >= 0) precision.kv_type = static_cast<jit::ElementType>(type);
  precision.bf16 = static_cast<Bf16Products>(words.next());
  return precision;
}

// Whether all ranks have the file that rank 0 has.
bool all_have(const std::vector<Status>& statuses) {
  return std::ranges::all_of(statuses, [&](const Status& status) {
    return status.error[0] == '\0' && std::memcmp(status.key, statuses.front().key, sizeof status.key) == 0;
  });
}

// What the first of them that has not says.
[[noreturn]] void refuse(const std::vector<Status>& statuses, const std::string& path) {
  for (std::size_t rank = 1; rank < statuses.size(); ++rank) {
    const std::string error = text_of(statuses[rank].error);
    const std::string who = fmt::format("rank {} on {}", rank, program().hosts[rank]);
    if (!error.empty()) throw std::runtime_error(fmt::format("{}: {}", who, error));
    if (std::memcmp(statuses[rank].key, statuses.front().key, sizeof statuses[rank].key) == 0) continue;
    throw std::runtime_error(fmt::format("{}: {}: expected the content that rank 0 on {} has, found another",
                                         who, path, program().hosts.front()));
  }
  throw std::logic_error("ranks: all have the file");
}

// The file's status on this rank; `file` is filled where it is there.
Status open_file(const std::string& path, Bf16Products bf16, std::optional<ModelFile>& file) {
  Status status;
  try {
    file = read_model(path);
    copy_text(status.key, packed_key(*file, bf16));
  } catch (const std::runtime_error& error) {
    copy_text(status.error, error.what());
  }
  return status;
}

void make_all_open(const std::vector<std::int32_t>& order, const ModelFile& file, Bf16Products bf16) {
  program().ranks->tell(order);
  Status own;
  copy_text(own.key, packed_key(file, bf16));
  const std::vector<Status> statuses = gather_all(own);
  if (!all_have(statuses)) refuse(statuses, file.path());
}

// What each rank is to have. They measure at the same time, as those of one machine read at the same time later on.
std::vector<int> shares_of_ranks(int threads) {
  if (!program().measures_shares) return program().shares;
  gather_all(0);  // all begin
  const std::vector<double> rates = gather_all(measure_reading(threads));
  std::vector<int> shares = shares_of_rates(rates);
  if (program().ranks->rank() > 0) return shares;
  std::vector<std::string> read;
  read.reserve(rates.size());
  for (const double rate : rates) read.push_back(fmt::format("{:.1f}", rate / 1e9));
  spdlog::info("ranks read {} GB/s; shares: {}", fmt::join(read, ", "), fmt::join(shares, ","));
  return shares;
}

// Where no engine can be made, rank 0 may have found the same: then it says so, and ends.
void follow_with(const ModelFile& file, const EngineOptions& options) {
  std::optional<Engine> engine;
  try {
    engine.emplace(file, options);
  } catch (const std::runtime_error&) {
    if (options.ranks->hear().size() > 1) throw;  // more than that the engine is no more
    return;
  }
  follow(*engine, *options.ranks);
}

void follow_engine(Words words, const std::optional<std::string>& isa) {
  const std::string path = words.text();
  EngineOptions options;
  options.precision = read_precision(words);
  options.threads = words.next();
  options.context = words.next();
  options.sequences = words.next();
  const auto lower = static_cast<std::uint32_t>(words.next());
  options.cache_positions = (std::int64_t{words.next()} << 32) | lower;
  std::optional<ModelFile> file;
  const Status own = open_file(path, options.precision.bf16, file);
  if (!all_have(gather_all(own))) return;
  options.isa = jit::choose_isa(isa).isa;
  if (program().own_threads) options.threads = default_threads();
  options.tuning = remembered_tuning(options.isa, options.threads);
  options.packed = find_packed({}, *file, options.precision);
  options.ranks = program().ranks;
  options.shares = shares_of_ranks(options.threads);
  program().expect_loading();
  follow_with(*file, options);
}

void follow_verify(Words words) {
  const std::string path = words.text();
  const Precision precision = read_precision(words);
  const std::vector<jit::Tier> usable = jit::usable_tiers();
  std::vector<jit::Tier> tiers;
  for (int n = words.next(); n > 0; --n) {
    const auto tier = static_cast<jit::Tier>(words.next());
    // In the place of one that this CPU lacks: all make the same exchanges.
    tiers.push_back(std::ranges::count(usable, tier) > 0 ? tier : usable.back());
  }
  std::optional<ModelFile> file;
  const Status own = open_file(path, precision.bf16, file);
  if (!all_have(gather_all(own))) return;
  program().expect_loading();
  gather_counts(
      count_verified(*file, tiers, precision, default_threads(), [](jit::Tier, const VerifyRow&) {}));
}

}  // namespace

void set_program_ranks(ProgramRanks ranks) {
  program() = std::move(ranks);
}

bool is_one_of_ranks() {
  return program().ranks != nullptr;
}

const std::vector<std::string>& hosts_of_ranks() {
  return program().hosts;
}

EngineOptions on_ranks(EngineOptions options, const ModelFile& file) {
  if (!is_one_of_ranks()) return options;
  std::vector<std::int32_t> order{static_cast<std::int32_t>(Order::open)};
  add_text(order, file.path());
  add_precision(order, options.precision);
  order.push_back(options.threads);
  order.push_back(options.context);
  order.push_back(options.sequences);
  order.push_back(static_cast<std::int32_t>(options.cache_positions & 0xFFFFFFFF));
  order.push_back(static_cast<std::int32_t>(options.cache_positions >> 32));
  make_all_open(order, file, options.precision.bf16);
  options.ranks = program().ranks;
  options.shares = shares_of_ranks(options.threads);
  program().expect_loading();
  spdlog::info("{} ranks, on {}", program().hosts.size(), fmt::join(program().hosts, ", "));
  return options;
}

void verify_on_ranks(const ModelFile& file, const std::vector<jit::Tier>& tiers, const Precision& precision) {
  if (!is_one_of_ranks()) return;
  std::vector<std::int32_t> order{static_cast<std::int32_t>(Order::verify)};
  add_text(order, file.path());
  add_precision(order, precision);
  order.push_back(static_cast<std::int32_t>(tiers.size()));
  for (const jit::Tier tier : tiers) order.push_back(static_cast<std::int32_t>(tier));
  make_all_open(order, file, precision.bf16);
  program().expect_loading();
}

VerifyCounts count_verified(const ModelFile& file, const std::vector<jit::Tier>& tiers,
                            const Precision& precision, int threads,
                            const std::function<void(jit::Tier, const VerifyRow&)>& see) {
  VerifyCounts counts;
  Ranks* const ranks = program().ranks;
  const std::vector<int> shares = shares_of_ranks(threads);
  for (const jit::Tier tier : tiers) {
    for (const VerifyRow& row : verify_kernels(file, {tier}, precision, ranks, shares, threads)) {
      counts.values += row.values;
      counts.different += row.different;
      see(tier, row);
    }
  }
  counts.wrong_weights =
      verify_packing(file, precision, ranks != nullptr ? split_between(*ranks, shares) : Split(), threads);
  return counts;
}

std::vector<VerifyCounts> gather_counts(const VerifyCounts& own) {
  return gather_all(own);
}

void follow_program(const std::optional<std::string>& isa) {
  for (;;) {
    const std::vector<std::int32_t> heard = program().ranks->hear();
    Words words(heard);
    switch (static_cast<Order>(words.next())) {
      case Order::open:
        follow_engine(words, isa);
        break;
      case Order::verify:
        follow_verify(words);
        break;
      case Order::end:
        return;
    }
  }
}

void release_ranks() {
  if (is_one_of_ranks()) program().ranks->tell(std::array{static_cast<std::int32_t>(Order::end)});
}

}  // namespace llamajit::cli
