/// \file jsonl_token.hpp
/// A token line, read: quickly where it looks as our own writer makes it, and else by the strict walk, which also finds
/// the words for what is wrong.
///
///     TokenLineReader reader(layers, top_k);
///     if (!reader.scan(line)) reader.walk(JsonCursor(line, path), budget, ignored, 3);   // throws FormatError
///     reader.token().experts;           // [layers, top_k]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json_cursor.hpp"
#include "jsonl_object.hpp"
#include "routesig/routing.hpp"

namespace routesig::io {

/// What a token line says.
struct ParsedToken {
  std::string_view prompt{};  ///< the id; after `scan` the bytes between the quotes: not checked, without an escape
  std::int32_t position = 0;
  TokenType type = TokenType::prompt;
  std::optional<std::int32_t> token{};
  std::vector<ExpertId> experts{};  ///< [layers, top_k]
  std::vector<float> weights{};     ///< [layers, top_k], or empty
};

class TokenLineReader {
 public:
  TokenLineReader(std::size_t layers, std::size_t top_k) : layers_(layers), top_k_(top_k) {}

  /// True where `line` is a whole valid token line in our writer's layout; nothing is promised of `token()` otherwise.
  /// A byte that JSON does not allow ('\n' or '\0') must follow the line in memory.
  [[nodiscard]] bool scan(std::string_view line);
  /// Any valid token line; `budget` pays for the weights.
  void walk(JsonCursor json, ArrayBudget& budget, IgnoredFields& ignored, std::uint64_t line);
  [[nodiscard]] const ParsedToken& token() const noexcept { return token_; }
  /// Expert ids on a line.
  [[nodiscard]] std::size_t ids() const noexcept { return layers_ * top_k_; }

 private:
  [[nodiscard]] bool scan_experts(const char*& at);
  [[nodiscard]] bool scan_weights(const char*& at);

  std::size_t layers_;
  std::size_t top_k_;
  const char* end_ = nullptr;
  ParsedToken token_{};
  std::string prompt_{};  // what token_.prompt points to after `walk`
};

/// The float32 nearest to a JSON number, correctly rounded; nothing where it is too large for one.
[[nodiscard]] std::optional<float> parse_float(std::string_view number) noexcept;

}  // namespace routesig::io
