// A model that brings a layer to draft for itself, whose drafts are right.
#pragma once

#include <cstdint>

#include "tests/support/family_writer.h"

namespace llamajit::test {

// A file of the family whose layers add nothing to the stream, so that each token says by itself what follows it; its
// drafting layer hands on the token's embedding. Both have the same logits then, but for rounding.
GgufWriter foreseeing_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed);

// The first of kFamilyFiles with this name.
const FamilyFile& family_named(std::string_view name);

}  // namespace llamajit::test
