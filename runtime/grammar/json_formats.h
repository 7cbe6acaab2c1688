// The formats and encodings of strings that JSON Schema's drafts name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llamajit {

// What these are to be, as a pattern that takes nothing but what the format's document does, and of that what people write:
// no date of 29 February, no comment in an address of e-mail. Nothing for one that is not honoured.
//   date, time, date-time: RFC 3339 5.6; duration: its appendix A; uuid: RFC 4122; email: RFC 5321 4.1.2; hostname: RFC
//   1123 2.1; ipv4: RFC 2673 3.2; ipv6: RFC 4291 2.2; uri: RFC 3986, with an authority
std::optional<std::string> pattern_of_format(std::string_view format);
// Whether a draft names it; whoever writes such a one means it.
bool is_format_of_drafts(std::string_view format);

// The same of contentEncoding: base64, base64url and base16, as RFC 4648 writes bytes; padding of base64url may be left out.
std::optional<std::string> pattern_of_encoding(std::string_view encoding);

}  // namespace llamajit
