// Whether the tests are built with AddressSanitizer. Scalar twins are some fifteen times slower then, and
// grids leave out part of their large shapes.
#pragma once

namespace llamajit::test {

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace llamajit::test
