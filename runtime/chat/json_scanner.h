// JSON as it comes, byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit {

// Follows one object or array of JSON (RFC 8259) and says of each byte whether it can stand there. Models write
// line ends into strings as they are, which JSON does not have: these are allowed, and append_json_byte()
// writes them as JSON does.
class JsonScanner {
 public:
  enum class Place : std::uint8_t {
    value,        // a value comes next
    first_value,  // or the array's end
    first_key,    // a key, or the object's end
    key,
    colon,
    after_value,  // a comma, or the end of what is open
    string,
    escape,  // behind a backslash
    hex,     // of \uXXXX
    number,
    literal,  // true, false, null
    done,
  };

  // Whether the byte can stand there; what comes behind the end cannot. After false no more may be fed.
  bool feed(char c);
  Place place() const { return place_; }
  bool in_string() const {
    return place_ == Place::string || place_ == Place::escape || place_ == Place::hex;
  }
  bool is_done() const { return place_ == Place::done; }
  std::size_t depth() const { return open_.size(); }  // objects and arrays that are open

 private:
  bool open(char bracket);
  bool close(char bracket);
  bool begin_value(char c);
  bool begin_string(bool is_key);
  bool feed_string(char c);
  bool feed_escape(char c);
  bool feed_number(char c);
  bool feed_structure(char c);

  Place place_ = Place::value;
  std::vector<char> open_;  // closing brackets
  bool is_key_ = false;     // the string is one
  int hex_left_ = 0;
  std::string_view literal_left_;
  enum class Digits : std::uint8_t { minus, zero, whole, point, fraction, exponent, sign, power };
  Digits digits_ = Digits::minus;
};

// The byte, or, within a string, the escape sequence of a control character. `in_string`: before the byte.
void append_json_byte(std::string& out, char c, bool in_string);
// The text as a string of JSON, without its quotation marks.
std::string json_escaped(std::string_view text);

}  // namespace llamajit
