// Logits that no token can be chosen from.
#pragma once

#include <cstdint>
#include <span>

namespace llamajit {

// Whether there is a largest one, a number, and no NaN. One of -infinity beside it rules its token out.
bool have_a_largest(std::span<const float> logits);

// What the final norm makes of values whose squares overflow is zero, and so are the logits behind it, as if all
// was well: these become NaN instead.
void spoil_overflown(std::span<const float> residual, std::span<float> logits);

// Throws std::runtime_error that names the position whose logits they are and the first that is no number.
[[noreturn]] void refuse_logits(std::span<const float> logits, std::int64_t position);

}  // namespace llamajit
