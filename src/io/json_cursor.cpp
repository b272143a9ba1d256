// The grammar of RFC 8259, one function a production.
#include "json_cursor.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace routesig {
namespace {

constexpr std::size_t kMostDigits = 4300;  // of a number: Python reads no more

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Appends a code point below 0x110000 that is no surrogate.
void append_utf8(std::string& out, unsigned code) {
  const auto tail = [](unsigned bits) { return static_cast<char>(0x80U | (bits & 0x3FU)); };
  if (code < 0x80U) {
    out += static_cast<char>(code);
  } else if (code < 0x800U) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += tail(code);
  } else if (code < 0x10000U) {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += tail(code >> 6U);
    out += tail(code);
  } else {
    out += static_cast<char>(0xF0U | (code >> 18U));
    out += tail(code >> 12U);
    out += tail(code >> 6U);
    out += tail(code);
  }
}

}  // namespace

void JsonCursor::fail_at(std::size_t position, std::string_view problem) const {
  throw FormatError({.path = path_, .byte = offset_ + position}, problem);
}

char JsonCursor::peek() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
    ++position_;
  }
  return '\0';
}

std::string JsonCursor::next() const {
  if (position_ >= text_.size()) return "the end of the text";
  const auto byte = static_cast<unsigned char>(text_[position_]);
  if (byte > 0x20U && byte < 0x7FU) return sentence('\'', text_[position_], '\'');
  constexpr std::string_view kHex = "0123456789abcdef";
  return sentence("byte 0x", kHex[byte >> 4U], kHex[byte & 15U]);
}

bool JsonCursor::accept(char c) {
  if (peek() != c || position_ >= text_.size()) return false;
  ++position_;
  return true;
}

void JsonCursor::expect(char c) {
  if (!accept(c)) fail(sentence("expected '", c, "', found ", next()));
}

void JsonCursor::enter(char open, std::string_view what) {
  if (!accept(open)) fail(sentence("expected ", what, ", found ", next()));
  if (++depth_ > kMaxJsonDepth) fail_at(position_ - 1, sentence("nested more than ", kMaxJsonDepth, " levels deep"));
}

bool JsonCursor::separator(char close) {
  if (accept(close)) return false;
  if (!accept(',')) fail(sentence("expected ',' or '", close, "', found ", next()));
  return true;
}

std::string JsonCursor::string() {
  if (!accept('"')) fail(sentence("expected a string, found ", next()));
  // Room for all of it, to the byte: growing would hold the text twice, and reserve() rounds up.
  std::string out(closing_quote() - position_, '\0');
  out.clear();
  while (position_ < text_.size()) {
    const auto byte = static_cast<unsigned char>(text_[position_]);
    if (byte == '"') {
      ++position_;
      return out;
    }
    if (byte == '\\') {
      escape(out);
    } else if (byte < 0x20U) {
      fail(sentence("a control character inside a string: ", next()));
    } else {
      const std::size_t begin = position_;
      utf8_sequence();
      out.append(text_, begin, position_ - begin);
    }
  }
  fail("a string without its closing quote");
}

/// Where the string that is being read ends: its quote, or the end of the text.
std::size_t JsonCursor::closing_quote() const {
  std::size_t quote = text_.find('"', position_);
  for (; quote != std::string_view::npos; quote = text_.find('"', quote + 1)) {
    std::size_t backslashes = 0;
    while (quote - backslashes > position_ && text_[quote - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return quote;
  }
  return text_.size();
}

void JsonCursor::utf8_sequence() {
  const auto byte = [&](std::size_t i) -> unsigned {
    return position_ + i < text_.size() ? static_cast<unsigned char>(text_[position_ + i]) : 0U;
  };
  const unsigned lead = byte(0), second = byte(1);
  const std::size_t length = lead < 0x80U ? 1U : lead < 0xE0U ? 2U : lead < 0xF0U ? 3U : 4U;
  bool valid = lead < 0x80U || (lead >= 0xC2U && lead <= 0xF4U);
  for (std::size_t i = 1; i < length; ++i) valid = valid && (byte(i) & 0xC0U) == 0x80U;
  valid = valid && !(lead == 0xE0U && second < 0xA0U) && !(lead == 0xF0U && second < 0x90U);  // overlong
  valid = valid && !(lead == 0xEDU && second > 0x9FU) && !(lead == 0xF4U && second > 0x8FU);  // surrogate, beyond range
  if (!valid) fail(sentence("invalid UTF-8 inside a string: ", next()));
  position_ += length;
}

void JsonCursor::escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  const std::size_t begin = position_++;
  const char c = position_ < text_.size() ? text_[position_++] : '\0';
  const std::size_t known = kNames.find(c);
  if (known != std::string_view::npos && c != '\0') {
    out += kValues[known];
    return;
  }
  if (c != 'u') fail_at(begin, "an unknown escape inside a string");
  unsigned code = hex4();
  if (code >= 0xD800U && code <= 0xDBFFU && text_.substr(position_, 2) == "\\u") {
    position_ += 2;
    const unsigned low = hex4();
    if (low < 0xDC00U || low > 0xDFFFU) fail_at(begin, "an unpaired surrogate inside a string");
    code = 0x10000U + ((code - 0xD800U) << 10U) + (low - 0xDC00U);
  }
  if (code >= 0xD800U && code <= 0xDFFFU) fail_at(begin, "an unpaired surrogate inside a string");
  append_utf8(out, code);
}

unsigned JsonCursor::hex4() {
  unsigned code = 0;
  const char* first = text_.data() + position_;
  const std::size_t length = std::min<std::size_t>(4, text_.size() - position_);
  const auto [end, error] = std::from_chars(first, first + length, code, 16);
  if (error != std::errc{} || end != first + 4 || *first == '-') fail("expected four hexadecimal digits after \\u");
  position_ += 4;
  return code;
}

std::size_t JsonCursor::digits() {
  const std::size_t begin = position_;
  while (position_ < text_.size() && is_digit(text_[position_])) ++position_;
  return position_ - begin;
}

JsonCursor::Number JsonCursor::number() {
  static_cast<void>(peek());
  const std::size_t begin = position_;
  const auto at = [&](char c) { return position_ < text_.size() && text_[position_] == c; };
  if (at('-')) ++position_;
  const bool leading_zero = at('0');
  const std::size_t whole = digits();
  if (whole == 0) fail(sentence("expected a number, found ", next()));
  if (leading_zero && whole > 1) fail_at(begin, "a number with a leading zero");
  bool integer = true;
  if (at('.')) {
    integer = false, ++position_;
    if (digits() == 0) fail("expected a digit after the decimal point");
  }
  if (at('e') || at('E')) {
    integer = false, ++position_;
    if (at('+') || at('-')) ++position_;
    if (digits() == 0) fail("expected a digit in the exponent");
  }
  if (position_ - begin > kMostDigits)
    fail_at(begin, sentence("expected a number of at most ", kMostDigits, " characters, found ", position_ - begin));
  return {text_.substr(begin, position_ - begin), integer};
}

std::int64_t JsonCursor::unsigned_integer() {
  const std::size_t begin = position();
  const Number found = number();
  std::int64_t value = 0;
  const char* end = found.text.data() + found.text.size();
  if (!found.integer || found.text.front() == '-' || std::from_chars(found.text.data(), end, value).ec != std::errc{})
    fail_at(begin, sentence("expected a whole number from 0 to ", std::numeric_limits<std::int64_t>::max(), ", found ",
                            shown(found.text, 30)));
  return value;
}

bool JsonCursor::literal(std::string_view word) {
  static_cast<void>(peek());
  if (text_.substr(position_, word.size()) != word) return false;
  position_ += word.size();
  return true;
}

void JsonCursor::skip_value() {
  switch (peek()) {
    case '{':
      object([&](const std::string&) { skip_value(); });
      return;
    case '[':
      array([&] { skip_value(); });
      return;
    case '"':
      static_cast<void>(string());
      return;
    case 't':
    case 'f':
    case 'n':
      if (!literal("true") && !literal("false") && !literal("null")) fail("expected true, false or null");
      return;
    default:
      if (peek() != '-' && !is_digit(peek())) fail(sentence("expected a value, found ", next()));
      static_cast<void>(number());
  }
}

void JsonCursor::finish() {
  static_cast<void>(peek());
  if (position_ != text_.size()) fail(sentence("expected the end of the text, found ", next()));
}

}  // namespace routesig
