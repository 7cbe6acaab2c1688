#include "tests/support/kernel_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/support/abi_call.h"
#include "tests/support/tile_emulator.h"

namespace llamajit::test {
namespace {

using jit::CodeCache;
using jit::Tier;

// --- a kernel that faults has no chance to report; the handler says which it was
char running[512];
struct sigaction previous_action;

void say_what_ran(int) {
  // Restores whoever handled it before; the faulting instruction then runs again and gets there.
  sigaction(SIGSEGV, &previous_action, nullptr);
  [[maybe_unused]] const auto written = write(STDERR_FILENO, running, std::strlen(running));
}

class FaultReport {
 public:
  explicit FaultReport(const std::string& context) {
    const std::string text = fmt::format("access violation in {}\n", context);
    running[text.copy(running, sizeof running - 1)] = '\0';
    struct sigaction action {};
    action.sa_handler = say_what_ran;
    sigaction(SIGSEGV, &action, &previous_action);
  }
  FaultReport(const FaultReport&) = delete;
  FaultReport& operator=(const FaultReport&) = delete;
  ~FaultReport() { sigaction(SIGSEGV, &previous_action, nullptr); }
};

// A value of 1, 4 or another number of bytes as messages show it.
std::string show(const std::byte* at, std::size_t size) {
  if (size == 4) {
    std::uint32_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return fmt::format("{:#010x} ({} as a float)", bits, std::bit_cast<float>(bits));
  }
  return fmt::format("{:#04x}", std::to_integer<unsigned>(*at));
}

bool is_nan(const std::byte* at) {
  float value;
  std::memcpy(&value, at, sizeof value);
  return std::isnan(value);
}

// The index of the first value whose bits differ, but for those of two NaNs where values are floats.
std::optional<std::size_t> first_difference(std::span<const std::byte> a, std::span<const std::byte> b,
                                            std::size_t size, bool has_floats) {
  for (std::size_t from = 0; from < a.size();) {
    const auto rest = a.subspan(from), other = b.subspan(from);
    // Mostly nothing differs, which memcmp() finds fast in sanitized builds, too.
    if (std::memcmp(rest.data(), other.data(), rest.size()) == 0) return {};
    const auto same = static_cast<std::size_t>(std::ranges::mismatch(rest, other).in1 - rest.begin());
    const std::size_t at = (from + same) / size;
    if (!has_floats || !is_nan(&a[at * size]) || !is_nan(&b[at * size])) return at;
    from = (at + 1) * size;
  }
  return {};
}

// Where the machine code of a kernel that failed can be looked at.
std::string write_listing_source(const CodeCache& cache, Tier tier) {
  const jit::KernelInfo& info = cache.kernels().front();
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("{}_{}.bin", info.name, to_string(tier)))
          .string();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(cache.code().data() + info.offset),
             static_cast<std::streamsize>(info.size));
  return fmt::format("objdump -D -b binary -m i386:x86-64 -M intel {}", path);
}

}  // namespace

std::vector<Tier> generating_host_tiers() {
  std::vector<Tier> tiers = jit::host_tiers();
  std::erase_if(tiers, [](Tier tier) { return tier == Tier::scalar || jit::Isa{tier}.has_tiles(); });
  return tiers;
}

std::vector<float> CallMemory::random_floats(std::size_t count, float low, float high) {
  std::vector<float> values(count);
  // In double, as high - low may be more than a float holds.
  for (float& v : values) {
    v = static_cast<float>(low + (double{high} - low) * static_cast<double>(random_() >> 40) * 0x1p-24);
  }
  return values;
}

std::vector<std::byte> CallMemory::random_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random_() >> 56);
  return bytes;
}

std::byte* CallMemory::add(std::string name, std::size_t bytes, std::size_t value_size, bool compared) {
  buffers_.push_back(
      {std::move(name), GuardedBuffer<std::byte>(bytes, edge_), value_size, compared, false, {}});
  return buffers_.back().memory.data();
}

std::span<const std::byte> CallMemory::find(std::string_view name) const {
  return std::ranges::find(buffers_, name, &Buffer::name)->memory.span();
}

std::string CallMemory::difference(const CallMemory& twin) const {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const Buffer& ours = buffers_[i];
    if (const auto at = ours.memory.touched_slack()) {
      return fmt::format("wrote outside {}: {} bytes from its start (it has {})", ours.name, *at,
                         ours.memory.size());
    }
    const auto a = ours.memory.span();
    const std::span<const std::byte> b =
        ours.compared ? twin.buffers_[i].memory.span() : std::span<const std::byte>(ours.kept);
    if (b.empty()) continue;
    const std::optional<std::size_t> different = first_difference(a, b, ours.value_size, ours.has_floats);
    if (!different) continue;
    const std::size_t at = *different;
    return fmt::format("{}[{}] is {}, {} {}", ours.name, at, show(&a[at * ours.value_size], ours.value_size),
                       ours.compared ? "its twin's" : "it was",
                       show(&b[at * ours.value_size], ours.value_size));
  }
  return "";
}

std::string run_and_compare(jit::KernelEntry entry, Edge edge, std::uint64_t seed, const MakeCall& make,
                            const CallMemory& twin, const std::string& context, jit::Isa isa) {
  CallMemory memory(edge, seed, isa);
  const std::vector<std::byte> args = make(memory);
  const GuardedBuffer<std::byte> guarded_args(args.size(), Edge::back);
  std::ranges::copy(args, guarded_args.data());
  std::string broken;
  {
    const FaultReport report(context);
    // Generated code has its key baked in and must not read it.
    broken = abi_call(entry, guarded_args.data(), nullptr);
  }
  if (take_leftover_tiles()) broken += broken.empty() ? "tiles" : ", tiles";
  const std::string difference = memory.difference(twin);
  if (broken.empty()) return difference;
  return fmt::format("{}{}clobbered: {}", difference, difference.empty() ? "" : "; ", broken);
}

namespace {

// The cache holds one kernel, whose code this is.
std::span<const std::byte> code_of(const CodeCache& cache) {
  const jit::KernelInfo& info = cache.kernels().front();
  return {reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(info.entry)), info.size};
}

// The sanitizers look at generators and twins, not at the code that is generated: one tier in turn is enough,
// and that with tiles, whose kernels are its own.
std::vector<Tier> tiers_to_check() {
  std::vector<Tier> tiers = generating_host_tiers();
  static std::size_t turn = 0;
  if (kSanitized && !tiers.empty()) tiers = {tiers[turn++ % tiers.size()]};
  if (tile_kernels_run()) tiers.push_back(Tier::avx512amx);
  return tiers;
}

}  // namespace

KernelUnderTest::KernelUnderTest(jit::KernelKey key) : key_(key) {
  for (const Tier tier : tiers_to_check()) {
    auto cache = std::make_unique<CodeCache>(jit::Isa{tier});
    std::visit([&](const auto& k) { cache->get(k); }, key);
    cache->publish();
    // Code that was run once need not run again under another tier's name.
    const auto same = [&](const OnTier& on) {
      return std::ranges::equal(code_of(*on.cache), code_of(*cache));
    };
    if (std::ranges::none_of(tiers_, same)) tiers_.push_back({tier, std::move(cache)});
  }
}

std::unique_ptr<CallMemory> KernelUnderTest::check_bytes(std::uint64_t seed, const std::string& what,
                                                         const MakeCall& make) {
  auto twin = std::make_unique<CallMemory>(Edge::back, seed);
  run_reference(key_, make(*twin).data());
  for (const OnTier& on : tiers_) {
    for (const Edge edge : {Edge::front, Edge::back}) run_on(on, edge, seed, what, make, *twin);
    if (!jit::Isa{on.tier}.has_tiles()) run_on(on, Edge::back, seed, what, make, *twin);
  }
  return twin;
}

void KernelUnderTest::run_on(const OnTier& on, Edge edge, std::uint64_t seed, const std::string& what,
                             const MakeCall& make, const CallMemory& twin) const {
  const jit::KernelInfo& info = on.cache->kernels().front();
  const std::string context =
      fmt::format("{} on {}, shape {}, {}, seed {}, buffers flush at the {}", info.name, to_string(on.tier),
                  kernel_shape(key_), what, seed, edge == Edge::front ? "front" : "back");
  const std::string wrong = run_and_compare(info.entry, edge, seed, make, twin, context, {on.tier});
  if (wrong.empty()) return;
  ADD_FAILURE() << context << ": " << wrong << "\n  " << write_listing_source(*on.cache, on.tier);
}

void expect_within(std::string_view what, std::span<const float> actual, std::span<const double> expected,
                   std::span<const double> bounds) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(static_cast<double>(actual[i]) - expected[i]);
    if (error <= bounds[i]) continue;
    ADD_FAILURE() << fmt::format("{}: [{}] is {}, expected {} within {}", what, i, actual[i], expected[i],
                                 bounds[i]);
    return;
  }
}

}  // namespace llamajit::test
