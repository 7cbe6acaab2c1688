#include "jit/code/code_cache.h"

#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/kernel_check.h"
#include "tests/support/some_keys.h"

// Linux 6.3; older headers lack it.
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

namespace llamajit::test::code_cache_test {
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

// Runs it in a child process; returns its exit code, or -1 for a signal.
template <class Work>
int exit_code_of(Work work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST(CodeCache, WorksWhereTheKernelDeniesWritableCode) {
  const int code = exit_code_of(publish_and_call_under_mdwe);
  if (code == kNoSuchPrctl) GTEST_SKIP() << "this Linux has no PR_SET_MDWE (6.3 and later do)";
  EXPECT_EQ(code, kGood);
}

// Refuses memfd_create() and, for protections that execute, mprotect(), as a sandbox may.
bool refuse_by_seccomp(bool mprotect_too) {
  constexpr auto kArgument2 =
      static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 2 * sizeof(std::uint64_t));
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
  };
  if (mprotect_too) {
    filter.insert(filter.end(), {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
                                 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument2),
                                 BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)});
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int publish_and_call() {
  CodeCache cache(Isa{jit::host_tiers().back()});
  return call_argmax(cache) == 1 ? kGood : kWrong;
}

TEST(CodeCache, WorksUnderALimitOnTheSizeOfFiles) {
  EXPECT_EQ(exit_code_of([] {
              const rlimit none{0, 0};
              if (setrlimit(RLIMIT_FSIZE, &none) != 0) return int{kNotEnforced};
              return publish_and_call();
            }),
            kGood);
}

TEST(CodeCache, WorksWithoutAnonymousFiles) {
  EXPECT_EQ(exit_code_of([] {
              if (!refuse_by_seccomp(false)) return int{kNotEnforced};
              const int result = publish_and_call();
              return writable_code().empty() ? result : kWrong;
            }),
            kGood);
}

TEST(CodeCache, WithoutExecutableMemoryItSaysWhatElseWorks) {
  if (jit::host_tiers().back() == Tier::scalar) GTEST_SKIP() << "this CPU has the scalar tier only";
  EXPECT_EQ(exit_code_of([] {
              if (!refuse_by_seccomp(true)) return int{kNotEnforced};
              try {
                publish_and_call();
                return int{kWrong};
              } catch (const std::system_error& error) {
                const bool told = std::string_view(error.what()).find("the scalar tier needs none") !=
                                  std::string_view::npos;
                return int{told ? kGood : kWrong};
              }
            }),
            kGood);
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
}  // namespace llamajit::test::code_cache_test
