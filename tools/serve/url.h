// Paths of URLs.
#pragma once

#include <string>
#include <string_view>

namespace llamajit::serve {

// With %XX as the bytes that they stand for (RFC 3986, 2.1); what is no such sequence stays.
std::string percent_decoded(std::string_view text);

}  // namespace llamajit::serve
