#include "jit/inspect/jitdump.h"

#include <cerrno>
#include <ctime>
#include <system_error>

#include <elf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jit/inspect/byte_buffer.h"
#include "jit/inspect/folder.h"
#include "jit/inspect/unwind.h"

namespace llamajit::jit::inspect {
namespace {

constexpr std::uint32_t kMagic = 0x4A695444;
constexpr std::uint32_t kJitdumpVersion = 1;
constexpr std::uint32_t kHeaderBytes = 40;

enum class Record : std::uint32_t { load = 0, debug_info = 2, close = 3, unwinding_info = 4 };

// Returns nanoseconds of the clock that perf record -k mono takes.
std::uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint32_t process() {
  return static_cast<std::uint32_t>(getpid());
}

// Appends a record whose content body() writes.
template <class Body>
void record(ByteBuffer& to, Record kind, Body body) {
  const std::size_t begin = to.size();
  to.u32(static_cast<std::uint32_t>(kind));
  to.u32(0);
  to.u64(now());
  body();
  to.set_u32(begin + 4, static_cast<std::uint32_t>(to.size() - begin));
}

void debug_info_record(ByteBuffer& to, const ImageKernel& kernel, std::uint64_t address,
                       const std::string& directory) {
  record(to, Record::debug_info, [&] {
    to.u64(address);
    to.u64(kernel.rows.size());
    for (const LineRow& row : kernel.rows) {
      to.u64(address + row.offset);
      to.u32(static_cast<std::uint32_t>(row.line));
      to.u32(0);  // no discriminator
      to.string(directory + "/" + kernel.source);
    }
  });
}

// perf puts the frame section at the next multiple of 8 behind the code, and the table right behind it.
void unwinding_record(ByteBuffer& to, ImageKernel kernel) {
  kernel.offset = 0;
  const auto distance = static_cast<std::int64_t>((kernel.code_bytes + 7) / 8 * 8);
  const UnwindTable unwind = make_unwind_table(kernel, distance);
  record(to, Record::unwinding_info, [&] {
    const std::size_t bytes = unwind.frame.size() + unwind.header.size();
    to.u64(bytes);
    to.u64(unwind.header.size());
    to.u64(bytes);
    to.bytes(unwind.frame.data());
    to.bytes(unwind.header.data());
  });
}

void load_record(ByteBuffer& to, const ImageKernel& kernel, std::span<const std::uint8_t> code,
                 std::uint64_t address, std::uint64_t index) {
  record(to, Record::load, [&] {
    to.u32(process());
    to.u32(static_cast<std::uint32_t>(syscall(SYS_gettid)));
    to.u64(address);  // where it is meant to be
    to.u64(address);  // where it is
    to.u64(code.size());
    to.u64(index);
    to.string(kernel.name);
    to.bytes(code);
  });
}

}  // namespace

JitDump::JitDump(const std::string& directory)
    : path_(fmt::format("{}/jit-{}.dump", directory, getpid())),
      file_(create_file(path_)),
      marker_bytes_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
  ByteBuffer header;
  header.u32(kMagic);
  header.u32(kJitdumpVersion);
  header.u32(kHeaderBytes);
  header.u32(EM_X86_64);
  header.u32(0);
  header.u32(process());
  header.u64(now());
  header.u64(0);  // flags
  write_all(file_, header.data(), path_);
  marker_ = mmap(nullptr, marker_bytes_, PROT_READ | PROT_EXEC, MAP_PRIVATE, file_.get(), 0);
  if (marker_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), path_);
}

JitDump::~JitDump() {
  ByteBuffer end;
  record(end, Record::close, [] {});
  try {
    write_all(file_, end.data(), path_);
  } catch (const std::system_error&) {
    // perf reads a file without an end as well.
  }
  munmap(marker_, marker_bytes_);
}

void JitDump::add(const ImageKernel& kernel, std::span<const std::uint8_t> code, const std::uint8_t* address,
                  const std::string& listing_directory) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  ByteBuffer records;
  debug_info_record(records, kernel, at, listing_directory);
  unwinding_record(records, kernel);
  load_record(records, kernel, code, at, next_index_++);
  write_all(file_, records.data(), path_);
}

void write_perf_map(const std::vector<ImageKernel>& kernels, const std::uint8_t* text) {
  std::string lines;
  for (const ImageKernel& kernel : kernels) {
    lines += fmt::format("{:x} {:x} {}\n", reinterpret_cast<std::uintptr_t>(text) + kernel.offset,
                         kernel.code_bytes, kernel.name);
  }
  const std::string path = fmt::format("/tmp/perf-{}.map", getpid());
  write_all(create_file(path), {reinterpret_cast<const std::uint8_t*>(lines.data()), lines.size()}, path);
}

}  // namespace llamajit::jit::inspect
