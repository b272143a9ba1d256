/// \file error.hpp
/// What goes wrong, in one sentence: what, where, what was expected, what was found.
///
///     throw routesig::FormatError({.path = "traces.jsonl", .line = 3}, "expected 16 layers, got 12");
///     // what(): traces.jsonl, line 3: expected 16 layers, got 12
///
/// A caller's slip is std::invalid_argument or std::out_of_range, made by `invalid_argument` below.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace routesig {

namespace detail {

template <typename Part>
void append(std::string& out, const Part& part) {
  if constexpr (std::is_convertible_v<const Part&, std::string_view>) {
    out += std::string_view(part);
  } else if constexpr (std::is_same_v<Part, char>) {
    out += part;
  } else {
    static_assert(std::is_arithmetic_v<Part> && !std::is_same_v<Part, bool>, "say it in words");
    std::array<char, 32> text{};
    std::to_chars_result end{};
    if constexpr (std::is_floating_point_v<Part>)
      end = std::to_chars(text.begin(), text.end(), part, std::chars_format::general, 6);
    else
      end = std::to_chars(text.begin(), text.end(), part);
    out.append(text.data(), end.ptr);
  }
}

}  // namespace detail

/// Joins its arguments into one string: texts, whole numbers, and others with six significant digits.
template <typename... Parts>
[[nodiscard]] std::string sentence(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

/// A std::invalid_argument whose message is the joined arguments.
template <typename... Parts>
[[nodiscard]] std::invalid_argument invalid_argument(const Parts&... parts) {
  return std::invalid_argument(sentence(parts...));
}

/// `text` in double quotes, shortened to `limit` bytes and stripped of control characters: safe inside a message.
[[nodiscard]] inline std::string shown(std::string_view text, std::size_t limit = 60) {
  std::string out(1, '"');
  const bool cut = text.size() > limit;
  if (cut) {
    text = text.substr(0, limit);
    // Do not cut a UTF-8 sequence in two: drop its continuation bytes, then its lead byte.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) text.remove_suffix(1);
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0U) text.remove_suffix(1);
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20U || byte == 0x7FU) ? '?' : c;
  }
  if (cut) out.append("...");
  out.push_back('"');
  return out;
}

/// Where in a file something is wrong. Lines count from 1, bytes from 0.
struct Place {
  std::string path{};
  std::optional<std::uint64_t> line{};
  std::optional<std::uint64_t> byte{};

  [[nodiscard]] std::string text() const {
    std::string out = path.empty() ? std::string("input") : path;
    if (line) out += sentence(", line ", *line);
    if (byte) out += sentence(", byte ", *byte);
    return out;
  }
};

/// A file that cannot be read as what it claims to be. The message begins with the place.
class FormatError : public std::runtime_error {
 public:
  FormatError(Place where, std::string_view problem)
      : std::runtime_error(sentence(where.text(), ": ", problem)), where_(std::move(where)) {}

  [[nodiscard]] const Place& where() const noexcept { return where_; }

 private:
  Place where_;
};

/// An operating-system failure (missing file, full disk): std::system_error's text after the path.
class FileError : public std::runtime_error {
 public:
  FileError(std::string path, std::string_view problem, int code)
      : std::runtime_error(sentence(path, ": ", problem)), path_(std::move(path)), code_(code) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int code() const noexcept { return code_; }  ///< errno

 private:
  std::string path_;
  int code_;
};

}  // namespace routesig
