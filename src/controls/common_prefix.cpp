#include "routesig/controls/common_prefix.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "routesig/interrupt.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"

namespace routesig {
namespace detail {
namespace {

/// A prompt's tokens as numbers that are equal where the tokens are.
using TokenCodes = std::vector<std::int64_t>;

[[nodiscard]] std::vector<TokenCodes> token_codes(std::span<const RoutingTrace> traces, bool by_token_ids) {
  std::vector<TokenCodes> out(traces.size());
  std::map<std::vector<ExpertId>, std::int64_t> number;
  std::int64_t unknown = -1;
  for (std::size_t i = 0; i < traces.size(); ++i)
    for (const std::size_t t : tokens_of(traces[i], TokenSet::prompt)) {
      if (by_token_ids) {
        out[i].push_back(traces[i].columns().token_ids[t]);
        continue;
      }
      const auto width = static_cast<std::ptrdiff_t>(traces[i].layers()) * traces[i].top_k();
      const auto first = traces[i].columns().experts.begin() + static_cast<std::ptrdiff_t>(t) * width;
      std::vector<ExpertId> row(first, first + width);
      const bool known = std::ranges::find(row, kNoExpert) == row.end();
      const auto next = static_cast<std::int64_t>(number.size());
      out[i].push_back(known ? number.try_emplace(std::move(row), next).first->second : unknown--);
    }
  return out;
}

[[nodiscard]] std::size_t common_length(const TokenCodes& a, const TokenCodes& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// For each of `chosen` the longest beginning that it shares with one of them for which counts(i, j): in sorted order
/// the nearest such neighbours share most.
template <typename Counts>
void longest_shared(const std::vector<TokenCodes>& codes, std::vector<std::size_t> chosen, const Counts& counts,
                    std::span<std::size_t> out) {
  std::ranges::sort(chosen, [&](std::size_t a, std::size_t b) { return codes[a] < codes[b]; });
  const auto look = [&](std::size_t place, std::ptrdiff_t step) {
    const std::size_t i = chosen[place];
    for (auto k = static_cast<std::ptrdiff_t>(place) + step; k >= 0 && k < static_cast<std::ptrdiff_t>(chosen.size());
         k += step)
      if (const std::size_t j = chosen[static_cast<std::size_t>(k)]; counts(i, j)) {
        out[i] = std::max(out[i], common_length(codes[i], codes[j]));
        return;
      }
  };
  for (std::size_t place = 0; place < chosen.size(); ++place) {
    interruption_point();
    look(place, -1);
    look(place, 1);
  }
}

}  // namespace
}  // namespace detail

CommonPrefixes common_prefixes(std::span<const RoutingTrace> traces, bool groups) {
  CommonPrefixes out;
  out.by_token_ids = std::ranges::all_of(
      traces, [](const RoutingTrace& trace) { return trace.tokens() == 0 || !trace.columns().token_ids.empty(); });
  out.own.resize(traces.size());
  out.foreign.resize(traces.size());
  const std::vector<detail::TokenCodes> codes = detail::token_codes(traces, out.by_token_ids);
  const std::vector<int> group = groups ? group_numbers(traces) : std::vector<int>(traces.size(), -1);
  std::map<std::string, std::vector<std::size_t>> tasks;
  std::vector<std::size_t> labelled;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    if (traces[i].sequence().task.empty()) continue;
    tasks[traces[i].sequence().task].push_back(i);
    labelled.push_back(i);
  }
  for (const auto& [task, prompts] : tasks)
    detail::longest_shared(
        codes, prompts, [&](std::size_t i, std::size_t j) { return group[i] < 0 || group[i] != group[j]; }, out.own);
  detail::longest_shared(
      codes, labelled,
      [&](std::size_t i, std::size_t j) { return traces[i].sequence().task != traces[j].sequence().task; },
      out.foreign);
  return out;
}

FilteredTraces drop_common_prefix(const TraceSet& traces, bool groups) {
  const CommonPrefixes found = common_prefixes(traces.traces(), groups);
  FilteredTraces out;
  std::vector<RoutingTrace> kept;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    const std::vector<std::size_t> prompt = detail::tokens_of(traces[i], TokenSet::prompt);
    std::vector<std::size_t> tokens = detail::tokens_of(traces[i], TokenSet::all);
    std::erase_if(tokens, [&](std::size_t t) {
      const auto place = std::ranges::lower_bound(prompt, t);
      return place != prompt.end() && *place == t && static_cast<std::size_t>(place - prompt.begin()) < found.own[i];
    });
    if (tokens.empty()) {
      out.left_out.push_back({traces[i].sequence().id, "another prompt of its task begins with all of its tokens"});
      continue;
    }
    out.tokens_dropped += found.own[i];
    kept.push_back(found.own[i] > 0 ? detail::with_tokens(traces[i], tokens) : traces[i]);
  }
  out.traces = TraceSet(std::move(kept), traces.run(), traces.complete());
  return out;
}

}  // namespace routesig
