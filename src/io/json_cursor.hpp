/// \file json_cursor.hpp
/// One strict walk over a JSON text (RFC 8259), value by value: no tree, no memory beyond the strings asked for.
///
///     JsonCursor json(text, "model.safetensors");
///     json.object([&](std::string name) { sizes[std::move(name)] = json.unsigned_integer(); });
///     json.finish();
///
/// Whatever is wrong is a FormatError that names the byte: broken syntax, invalid UTF-8, unpaired surrogates, more than
/// 64 levels, anything after the value. Repeated names are the caller's to judge: only it knows what it keeps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "routesig/error.hpp"

namespace routesig {

/// Objects and arrays inside each other, at most.
inline constexpr int kMaxJsonDepth = 64;

class JsonCursor {
 public:
  /// A number as it is written.
  struct Number {
    std::string_view text;
    bool integer;  ///< neither a fraction nor an exponent
  };

  /// `offset`: where `text` begins in the file, for messages. `text` must outlive the cursor.
  JsonCursor(std::string_view text, std::string path, std::uint64_t offset = 0)
      : text_(text), path_(std::move(path)), offset_(offset) {}

  [[noreturn]] void fail(std::string_view problem) const { fail_at(position_, problem); }
  [[noreturn]] void fail_at(std::size_t position, std::string_view problem) const;

  /// The first byte of the next value or separator, after white space; 0 at the end.
  [[nodiscard]] char peek();
  /// Where the next value or separator stands.
  [[nodiscard]] std::size_t position() { return static_cast<void>(peek()), position_; }
  /// The next value's first bytes, for messages.
  [[nodiscard]] std::string next() const;

  [[nodiscard]] std::string string();
  [[nodiscard]] Number number();
  /// A whole number from 0 to 2^63 - 1, without sign, fraction or exponent.
  [[nodiscard]] std::int64_t unsigned_integer();
  /// true, false or null; false where the next value is none of them.
  [[nodiscard]] bool literal(std::string_view word);
  /// Any value, checked and dropped.
  void skip_value();
  /// Nothing but white space may follow.
  void finish();

  /// Calls `member(name)` after each name of an object; it must take the value.
  template <typename Member>
  void object(Member&& member) {
    enter('{', "an object");
    for (bool more = !accept('}'); more; more = separator('}')) {
      std::string name = string();
      expect(':');
      member(std::move(name));
    }
    --depth_;
  }

  /// Calls `element()` before each value of an array; it must take the value.
  template <typename Element>
  void array(Element&& element) {
    enter('[', "an array");
    for (bool more = !accept(']'); more; more = separator(']')) element();
    --depth_;
  }

 private:
  [[nodiscard]] bool accept(char c);
  void expect(char c);
  void enter(char open, std::string_view what);
  [[nodiscard]] bool separator(char close);
  [[nodiscard]] std::size_t closing_quote() const;
  [[nodiscard]] std::size_t digits();
  [[nodiscard]] unsigned hex4();
  void escape(std::string& out);
  void utf8_sequence();

  std::string_view text_;
  std::string path_;
  std::uint64_t offset_;
  std::size_t position_ = 0;
  int depth_ = 0;
};

}  // namespace routesig
