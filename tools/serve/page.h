// The web page at GET /: a chat with the model, of which tools/serve/page/ is the source.
#pragma once

#include <string_view>

#include "tools/serve/http_exchange.h"

namespace llamajit::serve {

// {STYLE} and {SCRIPT} in `html` stand for the other two.
struct PageTexts {
  std::string_view html;
  std::string_view style;
  std::string_view script;
};
PageTexts page_texts();

// One text that needs nothing else. Its headers let it run its own script and ask its own server, and nothing more.
HttpReply web_page();

}  // namespace llamajit::serve
