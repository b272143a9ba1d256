/// \file json.hpp
/// Strict JSON for small files written by others (a model's config.json), and reads that cannot lie.
///
///     const nlohmann::json tree = parse_json(text, "config.json");
///     const JsonObject config(tree, "config.json");
///     const std::int64_t experts = config.integer("num_experts", 1, 65'534);   // -1, 1.5, "8", null: a FormatError
///
/// A text is valid UTF-8 without repeated names, at most 64 levels deep, its numbers within the range of a double.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "routesig/error.hpp"

namespace routesig {

/// The tree of one JSON text. Throws FormatError naming the byte.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, const std::string& path);

/// A value as a message shows it: `-1`, `"text"`, `an array of 3`, `an object`.
[[nodiscard]] std::string describe(const nlohmann::json& value);

/// The fields of one object, each read with its type and range. Does not own the object.
class JsonObject {
 public:
  /// `where` leads the field names in messages ("rope_parameters."). Throws FormatError where `value` is no object.
  JsonObject(const nlohmann::json& value, std::string path, std::string where = "");

  /// The field is there and not null.
  [[nodiscard]] bool has(const char* field) const { return find(field) != nullptr; }
  /// Throws FormatError where there is no such field.
  [[nodiscard]] const nlohmann::json& at(const char* field, std::string_view expected = "a value") const;

  [[nodiscard]] std::int64_t integer(const char* field, std::int64_t min, std::int64_t max) const;
  [[nodiscard]] double number(const char* field, double min, double max) const;
  [[nodiscard]] bool boolean(const char* field) const;
  [[nodiscard]] std::string text(const char* field) const;
  [[nodiscard]] JsonObject object(const char* field) const;

  /// The same, with a value for a field that is missing or null.
  [[nodiscard]] std::int64_t integer(const char* field, std::int64_t min, std::int64_t max, std::int64_t absent) const {
    return has(field) ? integer(field, min, max) : absent;
  }
  [[nodiscard]] double number(const char* field, double min, double max, double absent) const {
    return has(field) ? number(field, min, max) : absent;
  }
  [[nodiscard]] bool boolean(const char* field, bool absent) const { return has(field) ? boolean(field) : absent; }
  [[nodiscard]] std::string text(const char* field, std::string absent) const {
    return has(field) ? text(field) : std::move(absent);
  }

  /// `config.json: num_experts: <problem>`.
  [[noreturn]] void fail(const char* field, std::string_view problem) const;
  /// `config.json: num_experts: expected <expected>, found <the value>`.
  [[noreturn]] void fail_value(const char* field, std::string_view expected) const;

 private:
  [[nodiscard]] const nlohmann::json* find(const char* field) const;

  const nlohmann::json* object_;
  std::string path_;
  std::string where_;
};

}  // namespace routesig
