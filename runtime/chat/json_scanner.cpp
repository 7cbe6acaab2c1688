#include "runtime/chat/json_scanner.h"

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::size_t kMostOpen =
    60;  // what templates may have within each other, less what is around a call

bool is_json_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool JsonScanner::feed(char c) {
  switch (place_) {
    case Place::string:
      return feed_string(c);
    case Place::escape:
      return feed_escape(c);
    case Place::hex:
      if (!is_digit(c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) return false;
      if (--hex_left_ == 0) place_ = Place::string;
      return true;
    case Place::number:
      return feed_number(c);
    case Place::literal:
      if (c != literal_left_[0]) return false;
      literal_left_.remove_prefix(1);
      if (literal_left_.empty()) place_ = Place::after_value;
      return true;
    default:
      return is_json_space(c) ? !is_done() : feed_structure(c);
  }
}

bool JsonScanner::feed_structure(char c) {
  switch (place_) {
    case Place::first_value:
      return c == ']' ? close(c) : begin_value(c);
    case Place::value:
      return begin_value(c);
    case Place::first_key:
      return c == '}' ? close(c) : c == '"' && begin_string(true);
    case Place::key:
      return c == '"' && begin_string(true);
    case Place::colon:
      place_ = Place::value;
      return c == ':';
    case Place::after_value:
      if (c != ',') return close(c);
      place_ = open_.back() == '}' ? Place::key : Place::value;
      return true;
    default:
      return false;
  }
}

bool JsonScanner::open(char bracket) {
  if (open_.size() == kMostOpen) return false;
  open_.push_back(bracket == '{' ? '}' : ']');
  place_ = bracket == '{' ? Place::first_key : Place::first_value;
  return true;
}

bool JsonScanner::close(char bracket) {
  if (open_.empty() || open_.back() != bracket) return false;
  open_.pop_back();
  place_ = open_.empty() ? Place::done : Place::after_value;
  return true;
}

bool JsonScanner::begin_value(char c) {
  if (c == '{' || c == '[') return open(c);
  if (open_.empty()) return false;
  if (c == '"') return begin_string(false);
  if (c == '-' || is_digit(c)) {
    place_ = Place::number;
    digits_ = c == '-' ? Digits::minus : c == '0' ? Digits::zero : Digits::whole;
    return true;
  }
  literal_left_ = c == 't' ? "rue" : c == 'f' ? "alse" : c == 'n' ? "ull" : "";
  place_ = Place::literal;
  return !literal_left_.empty();
}

bool JsonScanner::begin_string(bool is_key) {
  is_key_ = is_key;
  place_ = Place::string;
  return true;
}

bool JsonScanner::feed_string(char c) {
  if (c == '\\') place_ = Place::escape;
  if (c == '"') place_ = is_key_ ? Place::colon : Place::after_value;
  return true;
}

bool JsonScanner::feed_escape(char c) {
  place_ = Place::string;
  if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
  place_ = Place::hex;
  hex_left_ = 4;
  return true;
}

bool JsonScanner::feed_number(char c) {
  const bool has_digit = digits_ == Digits::zero || digits_ == Digits::whole || digits_ == Digits::fraction ||
                         digits_ == Digits::power;
  if (is_digit(c)) {
    if (digits_ == Digits::zero) return false;
    if (digits_ == Digits::minus) digits_ = c == '0' ? Digits::zero : Digits::whole;
    if (digits_ == Digits::point) digits_ = Digits::fraction;
    if (digits_ == Digits::exponent || digits_ == Digits::sign) digits_ = Digits::power;
    return true;
  }
  if (c == '.' && (digits_ == Digits::zero || digits_ == Digits::whole)) {
    digits_ = Digits::point;
    return true;
  }
  if ((c == 'e' || c == 'E') && has_digit && digits_ != Digits::power) {
    digits_ = Digits::exponent;
    return true;
  }
  if ((c == '+' || c == '-') && digits_ == Digits::exponent) {
    digits_ = Digits::sign;
    return true;
  }
  if (!has_digit) return false;
  place_ = Place::after_value;
  return feed(c);
}

void append_json_byte(std::string& out, char c, bool in_string) {
  if (!in_string || static_cast<unsigned char>(c) >= 0x20) {
    out += c;
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else if (c == '\r') {
    out += "\\r";
  } else {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  }
}

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    append_json_byte(out, c, true);
  }
  return out;
}

}  // namespace llamajit
