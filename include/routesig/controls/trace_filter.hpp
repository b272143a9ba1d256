/// \file trace_filter.hpp
/// Traces for a second look: the same number of tokens of every prompt, the first position dropped, duplicates removed.
///
///     const auto matched = routesig::position_matched(traces, {.tokens = routesig::TokenSet::prompt});
///     for (const auto& [id, reason] : matched.left_out) log(id, reason);
///     const auto rest = routesig::signatures(matched.traces);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// A prompt that was left out, and why.
struct LeftOut {
  std::string id{};
  std::string reason{};
};

struct FilteredTraces {
  TraceSet traces{};
  std::vector<LeftOut> left_out{};
  std::size_t length = 0;            ///< tokens kept of every prompt, by `position_matched`
  std::uint64_t tokens_dropped = 0;  ///< of the prompts that were kept
};

struct PositionMatchOptions {
  TokenSet tokens = TokenSet::prompt;
  std::size_t length = 0;  ///< tokens to keep; 0: max(16, 5 % quantile of the prompts' tokens)
};

/// The least that `position_matched` keeps of its own accord.
inline constexpr std::size_t kLeastMatched = 16;

namespace detail {

/// The trace of these tokens alone.
[[nodiscard]] RoutingTrace with_tokens(const RoutingTrace& trace, std::span<const std::size_t> tokens);

/// Places of the tokens of `set` in a trace, in their order.
[[nodiscard]] std::vector<std::size_t> tokens_of(const RoutingTrace& trace, TokenSet set);

/// max(16, 5 % quantile), rounded down.
[[nodiscard]] std::size_t matched_length(const std::vector<std::size_t>& lengths);

}  // namespace detail

/// The first M tokens of the set of every prompt; prompts with fewer are left out.
[[nodiscard]] FilteredTraces position_matched(const TraceSet& traces, const PositionMatchOptions& options = {});

/// Every token but the one at position 0, which routes alike in all prompts where it serves as attention sink.
[[nodiscard]] FilteredTraces drop_first(const TraceSet& traces);

/// Of prompts whose tokens of the set have exactly the same ids, the first. Throws std::invalid_argument on traces
/// without token ids.
[[nodiscard]] FilteredTraces without_duplicates(const TraceSet& traces, TokenSet set = TokenSet::all);

}  // namespace routesig
