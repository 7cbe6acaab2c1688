#include "jit/code/code_cache.h"

#include <atomic>
#include <cctype>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/kernel_check.h"
#include "tests/support/some_keys.h"

// Linux 6.3; older headers lack it.
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

namespace llamajit::test {
namespace {

using jit::CodeCache;
using jit::Isa;
using jit::KernelKey;
using jit::Tier;

CodeCache published(Tier tier) {
  CodeCache cache(Isa{tier});
  for (const KernelKey& key : some_keys()) {
    std::visit([&](const auto& k) { cache.get(k); }, key);
  }
  cache.publish();
  return cache;
}

// The argmax of {1, 3, 2} by a kernel of the cache.
int call_argmax(CodeCache& cache) {
  const jit::Kernel<jit::ArgmaxArgs> argmax = cache.get(jit::ArgmaxKey{3});
  cache.publish();
  const float x[] = {1, 3, 2};
  jit::Best best{};
  argmax({x, &best, 0, 3});
  return best.index;
}

// The first mapping that is both writable and executable, "" if there is none.
std::string writable_code() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string protection = line.substr(line.find(' ') + 1, 4);
    if (protection.find('w') != std::string::npos && protection.find('x') != std::string::npos) return line;
  }
  return "";
}

TEST(CodeCache, OneKeyIsOneKernel) {
  for (Tier tier : jit::host_tiers()) {
    CodeCache cache(Isa{tier});
    const auto first = cache.get(jit::NormKey{64, 1e-5F});
    const auto other = cache.get(jit::NormKey{64, 1e-6F});
    const auto again = cache.get(jit::NormKey{64, 1e-5F});
    EXPECT_EQ(&first.info(), &again.info());
    EXPECT_NE(&first.info(), &other.info());
    EXPECT_EQ(cache.kernels().size(), 2U);
  }
}

TEST(CodeCache, EveryHostTierCanBeCalled) {
  for (Tier tier : jit::host_tiers()) {
    CodeCache cache(Isa{tier});
    EXPECT_EQ(call_argmax(cache), 1) << to_string(tier);
  }
}

TEST(CodeCache, KernelsOutliveAMoveOfTheirCache) {
  CodeCache first(Isa{jit::host_tiers().back()});
  const auto argmax = first.get(jit::ArgmaxKey{2});
  first.publish();
  const CodeCache second = std::move(first);
  const float x[] = {1, 2};
  jit::Best best{};
  argmax({x, &best, 0, 2});
  EXPECT_EQ(best.index, 1);
}

TEST(CodeCache, AnEmptyOneCanBePublished) {
  CodeCache cache(Isa{jit::host_tiers().back()});
  cache.publish();
  EXPECT_EQ(cache.code_bytes(), 0U);
}

TEST(CodeCache, KernelsLieApartAtCacheLines) {
  for (Tier tier : generating_host_tiers()) {
    const CodeCache cache = published(tier);
    std::size_t end = 0;
    for (const jit::KernelInfo& info : cache.kernels()) {
      EXPECT_GE(info.offset, end) << info.name;
      EXPECT_EQ(info.offset % 64, 0U) << info.name;
      EXPECT_GT(info.size, 0U) << info.name;
      end = info.offset + info.size;
    }
    EXPECT_LE(end, cache.code_bytes());
  }
}

TEST(CodeCache, NoPageIsEverWritableAndExecutable) {
  std::atomic<bool> done = false;
  std::string found;
  // Looks while the code below works.
  std::thread watcher([&] {
    while (!done && found.empty()) found = writable_code();
  });
  for (int i = 0; i < (kSanitized ? 5 : 30); ++i) {
    for (Tier tier : generating_host_tiers()) {
      const CodeCache cache = published(tier);
      EXPECT_EQ(writable_code(), "");
    }
  }
  done = true;
  watcher.join();
  EXPECT_EQ(found, "");
}

// Exit codes of the child below.
enum : int { kGood = 0, kWrong = 1, kNoSuchPrctl = 2, kNotEnforced = 3 };

int publish_and_call_under_mdwe() {
  if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0) return kNoSuchPrctl;
  const int both = PROT_READ | PROT_WRITE | PROT_EXEC;
  if (mmap(nullptr, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return kNotEnforced;
  try {
    CodeCache cache(Isa{jit::host_tiers().back()});
    return call_argmax(cache) == 1 ? kGood : kWrong;
  } catch (const std::exception&) {
    return kWrong;
  }
}

TEST(CodeCache, WorksWhereTheKernelDeniesWritableCode) {
  const pid_t child = fork();
  if (child == 0) _exit(publish_and_call_under_mdwe());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoSuchPrctl) GTEST_SKIP() << "this Linux has no PR_SET_MDWE (6.3 and later do)";
  EXPECT_EQ(WEXITSTATUS(status), kGood);
}

TEST(GenerateCode, EveryTierAlsoThoseThatTheHostLacks) {
  for (Tier tier : kGeneratingTiers) {
    for (const KernelKey& key : some_keys()) {
      const std::vector<std::uint8_t> code = generate_code(Isa{tier}, key);
      // endbr64, as indirect calls want it.
      EXPECT_THAT(std::vector(code.begin(), code.begin() + 4), testing::ElementsAre(0xF3, 0x0F, 0x1E, 0xFA))
          << kernel_name(key) << " on " << to_string(tier);
    }
  }
}

TEST(GenerateCode, IsTheSameAtAnotherAddress) {
  for (Tier tier : kGeneratingTiers) {
    for (const KernelKey& key : some_keys()) {
      const std::vector<std::uint8_t> here = generate_code(Isa{tier}, key);
      std::vector<std::uint8_t> there;
      // Each thread has an emission buffer of its own, and ours is alive.
      std::thread([&] { there = generate_code(Isa{tier}, key); }).join();
      EXPECT_EQ(here, there) << kernel_name(key) << " on " << to_string(tier);
    }
  }
}

TEST(GenerateCode, AKernelTooLongIsNamed) {
  const KernelKey key = jit::KvAppendKey{jit::ElementType::f32, 1'000'000};
  EXPECT_THAT([&] { generate_code(Isa{Tier::avx2}, key); },
              testing::ThrowsMessage<std::runtime_error>(
                  testing::AllOf(testing::HasSubstr(kernel_name(key)), testing::HasSubstr("avx2"))));
}

TEST(KernelName, IsAnIdentifierAndUnique) {
  std::set<std::string> names;
  for (const KernelKey& key : some_keys()) {
    const std::string name = kernel_name(key);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_FALSE(std::isdigit(static_cast<unsigned char>(name[0]))) << name;
    for (unsigned char c : name) EXPECT_TRUE(std::isalnum(c) || c == '_') << name;
  }
}

}  // namespace
}  // namespace llamajit::test
