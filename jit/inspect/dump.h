// A model's kernels as a folder that other programs read:
//
//   manifest.json   name, formula, key, Args, tier, size, hash and place of each
//   NAME.bin        the bytes; objdump -D -b binary -mi386:x86-64 NAME.bin
//   NAME.s          the listing; as NAME.s makes the bytes
//   kernels.o       all of them, with symbols, line table and unwind tables: to look at, or to link with
#pragma once

#include <string>
#include <vector>

#include "jit/inspect/listing.h"

namespace llamajit::jit::inspect {

// Writes them to `directory`, which must be empty or not there yet. `origin` is the model, for the manifest. Throws
// std::runtime_error.
void dump_kernels(const std::vector<Listing>& kernels, Isa isa, const std::string& origin,
                  const std::string& directory);

}  // namespace llamajit::jit::inspect
