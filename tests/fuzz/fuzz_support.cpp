#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {

InputFile::InputFile(std::string_view content)
    : fd_(memfd_create("input", MFD_CLOEXEC)), path_(fmt::format("/proc/self/fd/{}", fd_)) {
  while (!content.empty()) {
    const ssize_t written = write(fd_, content.data(), content.size());
    if (written <= 0) report("cannot write an input");
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}
InputFile::~InputFile() {
  close(fd_);
}

bool succeeds(const std::function<void()>& call) {
  try {
    call();
    return true;
  } catch (const std::runtime_error& error) {
    expect(error.what()[0] != '\0', "an error without a word");
    return false;
  }
}

void report(std::string_view what) {
  fmt::print(stderr, "finding: {}\n", what);
  std::abort();
}

namespace {

void write_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::size_t i = 0;
  for (const std::string& seed : seeds()) {
    std::ofstream file(folder / fmt::format("seed-{:03}", i++), std::ios::binary);
    file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
    if (!file.flush()) report("cannot write a seed");
  }
}

}  // namespace
}  // namespace llamajit::fuzz

// With LLAMAJIT_FUZZ_SEEDS=FOLDER it writes the target's seeds and ends.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  if (const char* const folder = std::getenv("LLAMAJIT_FUZZ_SEEDS")) {
    llamajit::fuzz::write_seeds(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  llamajit::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
