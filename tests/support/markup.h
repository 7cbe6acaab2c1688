// Whether markup is well-formed, strictly: every tag closed in order, every & a reference we write.
#pragma once

#include <string>
#include <string_view>

namespace llamajit::test {

// Returns what is wrong first, with the text around it; ""
// if nothing is. The style sheet's content is not looked at.
std::string markup_error(std::string_view page);

// The text without tags, its references replaced.
std::string markup_text(std::string_view page);

}  // namespace llamajit::test
