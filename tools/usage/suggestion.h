// A word that is near to one that was mistyped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llamajit::cli {

// How many letters must be put in, taken out, changed or swapped with their neighbour to make one word of the
// other (optimal string alignment: no letter is touched twice).
int edit_distance(std::string_view a, std::string_view b);

// The name that the word was perhaps meant to be: one that it begins, or the nearest within a third of the
// longer one's letters. Empty where none is that near.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

// "; did you mean 'NAME'?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names);

}  // namespace llamajit::cli
