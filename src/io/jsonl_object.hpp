/// \file jsonl_object.hpp
/// What every line of a trace file needs: objects whose fields are known, numbers in range, places in messages.
///
///     with_line(path, 3, [&] {
///       read_object(json, "prompt_end line", {{"id", [&] { id = json.string(); }, true}}, &ignored, 3);
///     });
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "json_cursor.hpp"
#include "routesig/io/jsonl.hpp"

namespace routesig::io {

/// Keeps arrays within a multiple of the file: a `null` of four bytes announces a whole row of experts.
class ArrayBudget {
 public:
  explicit ArrayBudget(std::size_t file_bytes) : left_(kFree + kTimes * static_cast<std::uint64_t>(file_bytes)) {}
  /// False where `count` items of `bytes` each are more than what is left.
  [[nodiscard]] bool spend(std::uint64_t count, std::uint64_t bytes) noexcept {
    if (count > left_ / bytes) return false;
    left_ -= count * bytes;
    return true;
  }
  static constexpr std::uint64_t kTimes = 64;

 private:
  static constexpr std::uint64_t kFree = 1U << 20;
  std::uint64_t left_;
};

/// Tells each sentence about ignored fields once.
class IgnoredFields {
 public:
  IgnoredFields(std::string name, const Warn& warn) : name_(std::move(name)), warn_(warn) {}
  void note(std::string_view where, const std::string& field, std::uint64_t line);

 private:
  std::string name_;
  const Warn& warn_;
  std::set<std::string> seen_;

  static constexpr std::size_t kNamed = 8;  // the warning after these speaks for all that follow
};

/// One known field of an object and what takes its value.
struct KnownField {
  std::string_view name;
  std::function<void()> take;
  bool required = false;
};

/// Walks one object whose fields are known: each at most once, the required ones there, others told to `ignored`.
/// Messages about a value begin with its field's name. `where` names the object ("token line").
void read_object(JsonCursor& json, std::string_view where, std::initializer_list<KnownField> fields,
                 IgnoredFields* ignored, std::uint64_t line);

/// A whole number within [min, max].
[[nodiscard]] std::int64_t read_integer(JsonCursor& json, std::int64_t min,
                                        std::int64_t max = std::numeric_limits<std::int64_t>::max());
/// The next value as it is written, checked.
[[nodiscard]] std::string read_raw(JsonCursor& json, std::string_view text);

/// Runs `body`; a FormatError without a line leaves with `line`.
template <typename Body>
void with_line(const std::string& path, std::uint64_t line, Body&& body) {
  try {
    body();
  } catch (const FormatError& error) {
    if (error.where().line) throw;
    const std::size_t prefix = error.where().text().size() + 2;  // "place: "
    throw FormatError({.path = path, .line = line, .byte = error.where().byte},
                      std::string(error.what()).substr(prefix));
  }
}

}  // namespace routesig::io
