// What ranks are to have of a model where that follows how fast each of them is.
#pragma once

#include <span>
#include <vector>

namespace llamajit::cli {

// Bytes that so many threads read from memory in a second, while they are told to: the measure of decoding, which reads
// all weights for each token.
double measure_reading(int threads);

// Shares in proportion to rates, at most 100 and at least 1; even ones where no rate is more than a tenth above another,
// which two measurements of one machine may be apart. Every rank must have at least 1, and rates that are not positive
// count as the slowest.
std::vector<int> shares_of_rates(std::span<const double> rates);

}  // namespace llamajit::cli
