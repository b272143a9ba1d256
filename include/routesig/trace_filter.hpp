/// \file trace_filter.hpp
/// Traces for a second look: the same number of tokens of every prompt, the first position dropped, duplicates removed.
///
///     const auto matched = routesig::position_matched(traces, {.tokens = routesig::TokenSet::prompt});
///     for (const auto& [id, reason] : matched.left_out) log(id, reason);
///     const auto rest = routesig::signatures(matched.traces);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/quantile.hpp"
#include "routesig/signature.hpp"

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
[[nodiscard]] inline RoutingTrace with_tokens(const RoutingTrace& trace, std::span<const std::size_t> tokens) {
  TraceColumns kept = take_tokens(trace.columns(), trace.top_k(), tokens);
  SequenceInfo sequence = trace.sequence();
  sequence.prompt_tokens = static_cast<int>(std::ranges::count(kept.types, TokenType::prompt));
  return {trace.shared_info(), std::move(sequence), std::move(kept)};
}

/// Places of the tokens of `set` in a trace, in their order.
[[nodiscard]] inline std::vector<std::size_t> tokens_of(const RoutingTrace& trace, TokenSet set) {
  std::vector<std::size_t> out;
  const auto& types = trace.columns().types;
  for (std::size_t t = 0; t < types.size(); ++t)
    if (contains(set, types[t])) out.push_back(t);
  return out;
}

/// max(16, 5 % quantile), rounded down.
[[nodiscard]] inline std::size_t matched_length(const std::vector<std::size_t>& lengths) {
  if (lengths.empty()) return kLeastMatched;
  std::vector<double> sorted(lengths.begin(), lengths.end());
  std::ranges::sort(sorted);
  return std::max(kLeastMatched, static_cast<std::size_t>(sorted_quantile(sorted, 0.05)));
}

}  // namespace detail

/// The first M tokens of the set of every prompt; prompts with fewer are left out.
[[nodiscard]] inline FilteredTraces position_matched(const TraceSet& traces, const PositionMatchOptions& options = {}) {
  std::vector<std::vector<std::size_t>> tokens;
  std::vector<std::size_t> lengths;
  for (const RoutingTrace& trace : traces) {
    interruption_point();
    tokens.push_back(detail::tokens_of(trace, options.tokens));
    lengths.push_back(tokens.back().size());
  }
  FilteredTraces out{.length = options.length > 0 ? options.length : detail::matched_length(lengths)};
  std::vector<RoutingTrace> kept;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    interruption_point();
    if (lengths[i] < out.length) {
      out.left_out.push_back(
          {traces[i].sequence().id, sentence(lengths[i], " tokens, fewer than the ", out.length, " compared")});
      continue;
    }
    kept.push_back(detail::with_tokens(traces[i], std::span(tokens[i]).first(out.length)));
    out.tokens_dropped += static_cast<std::uint64_t>(traces[i].tokens()) - out.length;
  }
  out.traces = TraceSet(std::move(kept), traces.run(), traces.complete());
  return out;
}

/// Every token but the one at position 0, which routes alike in all prompts where it serves as attention sink.
[[nodiscard]] inline FilteredTraces drop_first(const TraceSet& traces) {
  FilteredTraces out;
  std::vector<RoutingTrace> kept;
  for (const RoutingTrace& trace : traces) {
    interruption_point();
    std::vector<std::size_t> tokens = detail::tokens_of(trace, TokenSet::all);
    const std::size_t before = tokens.size();
    std::erase_if(tokens, [&](std::size_t t) { return trace.columns().positions[t] == 0; });
    if (tokens.empty()) {
      out.left_out.push_back({trace.sequence().id, "no token after the first position"});
      continue;
    }
    out.tokens_dropped += before - tokens.size();
    kept.push_back(tokens.size() < before ? detail::with_tokens(trace, tokens) : trace);
  }
  out.traces = TraceSet(std::move(kept), traces.run(), traces.complete());
  return out;
}

/// Of prompts whose tokens of the set have exactly the same ids, the first. Throws std::invalid_argument on traces
/// without token ids.
[[nodiscard]] inline FilteredTraces without_duplicates(const TraceSet& traces, TokenSet set = TokenSet::all) {
  FilteredTraces out;
  std::vector<RoutingTrace> kept;
  std::map<std::vector<std::int32_t>, std::string> seen;  // token ids -> the prompt that had them first
  for (const RoutingTrace& trace : traces) {
    interruption_point();
    const SequenceInfo& sequence = trace.sequence();
    if (trace.columns().token_ids.empty() && trace.tokens() > 0)
      throw invalid_argument("without_duplicates: expected token ids, trace ", shown(sequence.id), " has none");
    auto ids = detail::of_tokens(trace.columns().token_ids, detail::tokens_of(trace, set), 1);
    const bool empty = ids.empty();  // nothing to compare
    const auto [first, added] = seen.try_emplace(std::move(ids), sequence.id);
    if (added || empty)
      kept.push_back(trace);
    else
      out.left_out.push_back({sequence.id, sentence("same token ids as ", shown(first->second))});
  }
  out.traces = TraceSet(std::move(kept), traces.run(), traces.complete());
  return out;
}

}  // namespace routesig
