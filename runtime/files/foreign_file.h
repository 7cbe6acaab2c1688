// Files that are given for models and are none.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace llamajit {

enum class WantedFile { model, tokenizer };

// What the bytes of a file look like, and what its owner can do, for the "found" of a message: "a web page
// (HTML); a site's page was saved instead of its file". Nothing where they look like no kind that is known.
// What is wanted itself is not among these; a model is where a tokenizer is wanted.
std::optional<std::string> describe_foreign_file(std::span<const std::byte> bytes, WantedFile wanted);

}  // namespace llamajit
