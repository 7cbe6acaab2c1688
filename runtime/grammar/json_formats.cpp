#include "runtime/grammar/json_formats.h"

#include <algorithm>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::string_view kDate =
    "[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|"
    "02-(?:0[1-9]|1[0-9]|2[0-8]))";
constexpr std::string_view kTime =
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
constexpr std::string_view kUuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
constexpr std::string_view kLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,29}[A-Za-z0-9])?";
constexpr std::string_view kAtom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
constexpr std::string_view kByte = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
constexpr std::string_view kSegment = "[A-Za-z0-9._~!$&'()*+,;=:@-]*";

// Weeks, or what follows one another without a gap, as years, months and days do.
std::string duration() {
  const auto parts = [](char first, char second, char third) {
    constexpr std::string_view kNumber = "[0-9]{1,4}";
    return fmt::format("(?:{0}{1}(?:{0}{2}(?:{0}{3})?)?|{0}{2}(?:{0}{3})?|{0}{3})", kNumber, first, second,
                       third);
  };
  const std::string time = 'T' + parts('H', 'M', 'S');
  return fmt::format("P(?:[0-9]{{1,4}}W|{0}|{1}(?:{0})?)", time, parts('Y', 'M', 'D'));
}

// At most seven labels of 31: no name is longer than 253.
std::string hostname() {
  return fmt::format("{0}(?:\\.{0}){{0,6}}", kLabel);
}

// Its local part has 64 characters at the most.
std::string email() {
  return fmt::format("{0}(?:\\.{0}){{0,2}}@{1}(?:\\.{1}){{1,6}}", kAtom, kLabel);
}

// Eight groups, or fewer around "::".
std::string ipv6() {
  constexpr std::string_view kGroup = "[0-9A-Fa-f]{1,4}";
  std::string all = fmt::format("(?:{0}:){{7}}{0}|::(?:{0}(?::{0}){{0,6}})?", kGroup);
  for (int before = 1; before <= 7; ++before) {
    all += fmt::format("|(?:{0}:){{{1}}}:", kGroup, before);
    if (before < 7) all += fmt::format("(?:{0}(?::{0}){{0,{1}}})?", kGroup, 6 - before);
  }
  return fmt::format("(?:{})", all);
}

std::string uri() {
  return fmt::format("[a-z][a-z0-9+.-]{{0,15}}://{0}(?::[0-9]{{1,4}})?(?:/{1})*(?:\\?{1})?(?:#{1})?",
                     hostname(), kSegment);
}

}  // namespace

std::optional<std::string> pattern_of_encoding(std::string_view encoding) {
  if (encoding == "base16") return "^(?:[0-9A-F]{2})*$";
  const bool is_for_urls = encoding == "base64url";
  if (!is_for_urls && encoding != "base64") return std::nullopt;
  // Of one or two bytes at the end, what the last digit has more bits for is 0.
  constexpr std::string_view kLastOfOne = "[AQgw]", kLastOfTwo = "[AEIMQUYcgkosw048]";
  return fmt::format("^(?:{0}{{4}})*(?:{0}{1}{3}|{0}{{2}}{2}{4})?$",
                     is_for_urls ? "[A-Za-z0-9_-]" : "[A-Za-z0-9+/]", kLastOfOne, kLastOfTwo,
                     is_for_urls ? "(?:==)?" : "==", is_for_urls ? "=?" : "=");
}

std::optional<std::string> pattern_of_format(std::string_view format) {
  const auto whole = [](std::string_view pattern) { return fmt::format("^{}$", pattern); };
  if (format == "date") return whole(kDate);
  if (format == "time") return whole(kTime);
  if (format == "date-time") return whole(fmt::format("{}T{}", kDate, kTime));
  if (format == "duration") return whole(duration());
  if (format == "uuid") return whole(kUuid);
  if (format == "email") return whole(email());
  if (format == "hostname") return whole(hostname());
  if (format == "ipv4") return whole(fmt::format("(?:{0}\\.){{3}}{0}", kByte));
  if (format == "ipv6") return whole(ipv6());
  if (format == "uri") return whole(uri());
  return std::nullopt;
}

bool is_format_of_drafts(std::string_view format) {
  constexpr std::string_view kOthers[] = {"idn-email",     "idn-hostname",  "iri",
                                          "uri-reference", "iri-reference", "uri-template",
                                          "json-pointer",  "regex",         "relative-json-pointer"};
  return pattern_of_format(format) || std::ranges::count(kOthers, format) > 0;
}

}  // namespace llamajit
