/// \file common_prefix.hpp
/// Prompts of one task that begin alike: an instruction template makes a task look like routing.
///
///     const auto found = routesig::common_prefixes(traces.traces());        // found.own[i]: tokens
///     const auto rest = routesig::drop_common_prefix(traces);               // rest.traces: without them
///
/// Two prompts begin alike as far as their token ids are the same; where a trace has none, as far as all layers pick
/// the same experts, which equal beginnings make them do.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "routesig/controls/trace_filter.hpp"
#include "routesig/trace.hpp"

namespace routesig {

struct CommonPrefixes {
  bool by_token_ids = true;            ///< false: by the experts picked
  std::vector<std::size_t> own{};      ///< [traces] first tokens that another prompt of the task (and group) has too
  std::vector<std::size_t> foreign{};  ///< [traces] first tokens that a prompt of another task has too
};

/// The beginnings that prompts share, of prompts with a task; 0 for others. `groups`: beginnings shared within a group
/// alone do not count.
[[nodiscard]] CommonPrefixes common_prefixes(std::span<const RoutingTrace> traces, bool groups = true);

/// Every prompt without the first tokens that another prompt of its task begins with too.
[[nodiscard]] FilteredTraces drop_common_prefix(const TraceSet& traces, bool groups = true);

}  // namespace routesig
