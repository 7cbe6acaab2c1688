#include "tools/serve/page.h"

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "jit/inspect/sha256.h"

namespace llamajit::serve {
namespace {

// RFC 4648, of digits in hexadecimal.
std::string base64_of_hex(std::string_view hex) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string base64;
  unsigned bits = 0;
  int count = 0;
  for (const char digit : hex) {
    bits = bits << 4 | static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    for (count += 4; count >= 6; count -= 6) base64 += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) base64 += kDigits[bits << (6 - count) & 63];
  base64.resize((base64.size() + 3) / 4 * 4, '=');
  return base64;
}

// https://www.w3.org/TR/CSP3/#grammardef-hash-source
std::string hash_source(std::string_view text) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  return "'sha256-" + base64_of_hex(jit::inspect::sha256({bytes, text.size()})) + "'";
}

void put_in_place(std::string& html, std::string_view name, std::string_view text) {
  html.replace(html.find(name), name.size(), text);
}

// Trusted Types: a browser that knows them refuses to read any text as HTML.
HttpReply made_page() {
  const PageTexts texts = page_texts();
  std::string html(texts.html);
  put_in_place(html, "{STYLE}", texts.style);
  put_in_place(html, "{SCRIPT}", texts.script);
  const std::string policy = fmt::format(
      "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; "
      "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
      hash_source(texts.script), hash_source(texts.style));
  return {200,
          "text/html; charset=utf-8",
          html,
          {{"Content-Security-Policy", policy},
           {"X-Content-Type-Options", "nosniff"},
           {"Referrer-Policy", "no-referrer"},
           {"Cache-Control", "no-cache"}}};
}

}  // namespace

HttpReply web_page() {
  static const HttpReply kPage = made_page();
  return kPage;
}

}  // namespace llamajit::serve
