// Names for calls of tools.
#pragma once

#include <cstdint>
#include <string>

namespace llamajit {

// Nine letters and digits, as Mistral's templates demand; others take any. The same for the same arguments, and
// different for different indices of one seed. The seed should differ from request to request of a
// conversation (a hash of the prompt does), since its calls are told apart by their ids.
std::string tool_call_id(std::uint64_t seed, std::uint64_t index);

}  // namespace llamajit
