// An ELF object that describes a model's kernels: symbols, the line table onto their listings, how to unwind
// their frames. Debuggers get it in memory, beside the code that runs; objdump and linkers as a file that
// holds the code too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/emit/annotations.h"
#include "jit/inspect/listing.h"

namespace llamajit::jit::inspect {

// A row of the line table: the instruction at `offset` stands on `line` of its listing.
struct LineRow {
  std::uint32_t offset;
  int line;  // from 1
};

// A general register by the name of its role, all the while.
struct LocalVariable {
  std::string name;
  int gpr;  // as instructions number it
};

// A kernel as images describe it.
struct ImageKernel {
  ImageKernel(const Listing& listing, std::uint64_t offset_in_text);

  std::string name;
  std::uint64_t offset;      // of its code in the image's text
  std::uint32_t bytes;       // with constants
  std::uint32_t code_bytes;  // without
  std::uint32_t constants;   // where they begin, behind the code; = bytes if there are none
  std::string source;        // its listing's file name
  std::vector<LineRow> rows;
  std::vector<LocalVariable> variables;
  Annotations::Frame frame;
};

// Makes an image for gdb: the text itself is not in it, but runs at `address`.
std::vector<std::uint8_t> make_debug_image(const std::vector<ImageKernel>& kernels,
                                           const std::string& listing_directory, std::uint64_t address,
                                           std::uint64_t text_bytes);

// kernels.o: relocatable, so that programs can be linked with it and call kernels by name.
std::vector<std::uint8_t> make_object_file(const std::vector<ImageKernel>& kernels,
                                           const std::string& listing_directory,
                                           std::span<const std::uint8_t> text);

}  // namespace llamajit::jit::inspect
