#include "routesig/controls/trace_filter.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/routing.hpp"
#include "routesig/trace_columns.hpp"
#include "statistics/quantile.hpp"

namespace routesig {
namespace detail {

RoutingTrace with_tokens(const RoutingTrace& trace, std::span<const std::size_t> tokens) {
  TraceColumns kept = take_tokens(trace.columns(), trace.top_k(), tokens);
  SequenceInfo sequence = trace.sequence();
  sequence.prompt_tokens = static_cast<int>(std::ranges::count(kept.types, TokenType::prompt));
  return {trace.shared_info(), std::move(sequence), std::move(kept)};
}

std::vector<std::size_t> tokens_of(const RoutingTrace& trace, TokenSet set) {
  std::vector<std::size_t> out;
  const auto& types = trace.columns().types;
  for (std::size_t t = 0; t < types.size(); ++t)
    if (contains(set, types[t])) out.push_back(t);
  return out;
}

std::size_t matched_length(const std::vector<std::size_t>& lengths) {
  if (lengths.empty()) return kLeastMatched;
  std::vector<double> sorted(lengths.begin(), lengths.end());
  std::ranges::sort(sorted);
  return std::max(kLeastMatched, static_cast<std::size_t>(sorted_quantile(sorted, 0.05)));
}

}  // namespace detail

FilteredTraces position_matched(const TraceSet& traces, const PositionMatchOptions& options) {
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

FilteredTraces drop_first(const TraceSet& traces) {
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

FilteredTraces without_duplicates(const TraceSet& traces, TokenSet set) {
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
