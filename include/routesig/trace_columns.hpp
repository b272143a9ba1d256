/// \file trace_columns.hpp
/// The arrays that a trace is made of, and the rules that they keep: what a row may be, how positions run.
///
///     routesig::TraceColumns columns{.experts = {0, 1, 2, 3}, .positions = {4, 4}, .types = types};   // top-2
///     for (const std::size_t token : routesig::kept_tokens(columns.positions)) use(token);           // 1
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/routing.hpp"

namespace routesig {

/// What is known of one row of one layer.
enum class RowState : std::uint8_t {
  known,      ///< distinct ids below the number of experts
  unknown,    ///< every id is kNoExpert
  impossible  ///< anything else: a repeated id, an id out of range, a row known in part
};

/// The state of one row of `experts` experts' ids.
[[nodiscard]] inline RowState row_state(std::span<const ExpertId> row, int experts) noexcept {
  std::uint64_t seen = 0;  // modulo 64: that many different ones are different ids
  bool in_range = true;
  for (const ExpertId e : row) {
    seen |= std::uint64_t{1} << (e % 64U);
    in_range = in_range && std::cmp_less(e, experts);
  }
  if (in_range && std::cmp_equal(std::popcount(seen), row.size())) return RowState::known;
  if (std::ranges::all_of(row, [](ExpertId e) { return e == kNoExpert; })) return RowState::unknown;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::cmp_greater_equal(row[i], experts)) return RowState::impossible;
    for (std::size_t j = 0; j < i; ++j)
      if (row[i] == row[j]) return RowState::impossible;
  }
  return RowState::known;
}

/// Ids of any integer type, [tokens, layers, top_k], as ExpertId: -1 and 65535 become kNoExpert, any other id outside
/// [0, experts) is std::invalid_argument naming its place. `trace` is for the message.
template <std::integral Int>
[[nodiscard]] std::vector<ExpertId> expert_ids(std::span<const Int> ids, const RoutingInfo& info,
                                               const std::string& trace) {
  std::vector<ExpertId> out(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const bool unknown = std::cmp_equal(ids[i], -1) || std::cmp_equal(ids[i], kNoExpert);
    if (!unknown && (std::cmp_less(ids[i], 0) || std::cmp_greater_equal(ids[i], info.experts))) {
      const auto k = static_cast<std::size_t>(info.top_k), layers = static_cast<std::size_t>(info.layers);
      throw invalid_argument("trace: expected expert ids from 0 to ", info.experts - 1, " (-1 where unknown), got ",
                             +ids[i], " in layer ", i / k % layers, ", token ", i / (k * layers), " (trace ",
                             shown(trace), ")");
    }
    out[i] = unknown ? kNoExpert : static_cast<ExpertId>(ids[i]);
  }
  return out;
}

/// The arrays of one trace. A token's routing through all layers lies together.
struct TraceColumns {
  std::vector<ExpertId> experts{};         ///< [tokens, layers, top_k], best first; kNoExpert where unknown
  std::vector<float> weights{};            ///< [tokens, layers, top_k] as applied, or empty
  std::vector<float> router_logits{};      ///< [tokens, layers, experts], or empty
  std::vector<std::int32_t> token_ids{};   ///< [tokens], or empty
  std::vector<std::int32_t> positions{};   ///< [tokens], from 0, ascending
  std::vector<TokenType> types{};          ///< [tokens]
  std::vector<std::string> token_texts{};  ///< [tokens], or empty
  std::uint64_t nonfinite_rows = 0;        ///< rows whose router logits were not finite, summed over layers
  std::uint64_t dropped_tokens = 0;        ///< tokens that `drop_repeated_positions` left out
};

namespace detail {

/// Of `data` [all tokens, width], or of nothing, the rows of `tokens`.
template <typename T>
[[nodiscard]] std::vector<T> of_tokens(const std::vector<T>& data, std::span<const std::size_t> tokens,
                                       std::size_t width) {
  std::vector<T> out;
  if (data.empty()) return out;
  out.reserve(tokens.size() * width);
  for (const std::size_t token : tokens) {
    const auto begin = data.begin() + static_cast<std::ptrdiff_t>(token * width);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

}  // namespace detail

/// How many rows of `top_k` ids are not known.
[[nodiscard]] inline std::uint64_t unknown_rows(std::span<const ExpertId> ids, int top_k) noexcept {
  const auto k = static_cast<std::size_t>(top_k);
  std::uint64_t unknown = 0;
  for (std::size_t row = 0; row + k <= ids.size(); row += k)
    unknown += std::ranges::all_of(ids.subspan(row, k), [](ExpertId id) { return id == kNoExpert; }) ? 1U : 0U;
  return unknown;
}

/// The columns of these tokens alone. Which rows `nonfinite_rows` counts is not known: it becomes an upper bound.
[[nodiscard]] inline TraceColumns take_tokens(const TraceColumns& all, int top_k, std::span<const std::size_t> tokens) {
  const auto taken = [&](const auto& data) {
    return detail::of_tokens(data, tokens, data.size() / std::max<std::size_t>(all.positions.size(), 1));
  };
  TraceColumns kept{.experts = taken(all.experts),
                    .weights = taken(all.weights),
                    .router_logits = taken(all.router_logits),
                    .token_ids = taken(all.token_ids),
                    .positions = taken(all.positions),
                    .types = taken(all.types),
                    .token_texts = taken(all.token_texts),
                    .nonfinite_rows = all.nonfinite_rows,
                    .dropped_tokens = all.dropped_tokens};
  if (all.nonfinite_rows <= unknown_rows(all.experts, top_k))  // all of them are unknown rows
    kept.nonfinite_rows = std::min(all.nonfinite_rows, unknown_rows(kept.experts, top_k));
  return kept;
}

/// Rows of `top_k` ids whose weights are not all finite are not known: what chose them was not finite either. Where a
/// recording has counted such rows already, these are among them.
inline void forget_nonfinite_rows(TraceColumns& columns, int top_k) {
  const auto k = static_cast<std::size_t>(top_k);
  std::uint64_t found = 0;
  for (std::size_t row = 0; row + k <= columns.weights.size(); row += k) {
    const auto ids = std::span(columns.experts).subspan(row, k);
    const auto weights = std::span(std::as_const(columns.weights)).subspan(row, k);
    if (std::ranges::all_of(weights, [](float weight) { return std::isfinite(weight); })) continue;
    if (std::ranges::all_of(ids, [](ExpertId id) { return id == kNoExpert; })) continue;
    std::ranges::fill(ids, kNoExpert);
    ++found;
  }
  columns.nonfinite_rows = std::max(columns.nonfinite_rows, found);
}

/// The first token whose position is not after the one before it; none where positions ascend.
[[nodiscard]] inline std::optional<std::size_t> first_repeated_position(std::span<const std::int32_t> positions) {
  const auto twice = std::ranges::adjacent_find(positions, std::ranges::greater_equal{});
  if (twice == positions.end()) return std::nullopt;
  return static_cast<std::size_t>(twice - positions.begin()) + 1;
}

/// Tokens to keep so that positions ascend: of two at one position the later one; where a position decreases, none of
/// the earlier tokens from that position on. Drafts of speculative decoding that were rejected go in this way.
[[nodiscard]] inline std::vector<std::size_t> kept_tokens(std::span<const std::int32_t> positions) {
  std::vector<std::size_t> kept;
  for (std::size_t token = 0; token < positions.size(); ++token) {
    while (!kept.empty() && positions[kept.back()] >= positions[token]) kept.pop_back();
    kept.push_back(token);
  }
  return kept;
}

/// Keeps `kept_tokens` alone, and counts the others in `dropped_tokens`.
inline void drop_repeated_positions(TraceColumns& columns, int top_k, SequenceInfo& sequence) {
  if (!first_repeated_position(columns.positions)) return;
  forget_nonfinite_rows(columns, top_k);
  const std::size_t before = columns.positions.size();
  const auto prompts = std::ranges::count(columns.types, TokenType::prompt);
  columns = take_tokens(columns, top_k, kept_tokens(columns.positions));
  columns.dropped_tokens += before - columns.positions.size();
  const auto dropped = prompts - std::ranges::count(columns.types, TokenType::prompt);
  sequence.prompt_tokens = std::max(0, sequence.prompt_tokens - static_cast<int>(dropped));
}

namespace detail {

/// What is wrong with the position of `token` after the one before it; `whose` says `trace "a"`.
[[nodiscard]] inline std::string repeated_position(std::span<const std::int32_t> positions, std::size_t token,
                                                   const std::string& whose) {
  return sentence("expected positions that ascend, got ", positions[token], " after ", positions[token - 1],
                  " at token ", token, " (", whose, "; drop_invalid keeps the later of two tokens at one position)");
}

}  // namespace detail

}  // namespace routesig
