/// \file jsonl_lines.hpp
/// The lines of a trace file as bytes; what docs/formats.md describes, the writer's half.
///
///     std::string out = header_line(info, run);
///     append_prompt_line(out, sequence);
///     TokenLine line(info);
///     out += line.format(token_prefix(sequence.id), row);
///
/// Text that is not UTF-8, or a field that is not one line of JSON, is std::invalid_argument.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "routesig/routing.hpp"
#include "routesig/trace.hpp"

namespace routesig::io {

inline constexpr std::string_view kFormatName = "routesig-trace";
inline constexpr int kFormatVersion = 1;

/// Appends `text` as a JSON string. `what` names it in the message.
void append_string(std::string& out, std::string_view text, std::string_view what);

[[nodiscard]] std::string header_line(const RoutingInfo& info, const RunInfo& run);
void append_prompt_line(std::string& out, const SequenceInfo& sequence);
/// What every token line of a prompt begins with.
[[nodiscard]] std::string token_prefix(std::string_view id);
void append_prompt_end_line(std::string& out, std::string_view id, std::uint64_t tokens, std::uint64_t nonfinite_rows,
                            std::span<const std::string> token_texts);
[[nodiscard]] std::string end_line(std::uint64_t prompts, std::uint64_t tokens, std::string_view crc32c);

/// One token as it goes to the file.
struct TokenRow {
  std::int32_t position = 0;
  TokenType type = TokenType::prompt;
  std::optional<std::int32_t> token{};
  std::span<const ExpertId> experts{};  ///< [layers, top_k]
  std::span<const float> weights{};     ///< [layers, top_k], or empty
};

/// Formats token lines of one routing shape without allocating after the first.
class TokenLine {
 public:
  explicit TokenLine(const RoutingInfo& info);
  /// The whole line; valid until the next call.
  [[nodiscard]] std::string_view format(std::string_view prefix, const TokenRow& row);

 private:
  std::size_t layers_;
  std::size_t top_k_;
  std::vector<char> bytes_;
};

}  // namespace routesig::io
