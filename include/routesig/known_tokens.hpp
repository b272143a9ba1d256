/// \file known_tokens.hpp
/// The tokens of a trace that a statistic of single tokens may use.
///
///     for (const int token : routesig::known_tokens(trace, /*layer=*/3, {.tokens = routesig::TokenSet::prompt}))
///       use(trace.experts(3, token));
#pragma once

#include <vector>

#include "routesig/signature.hpp"

namespace routesig {

/// Tokens of the chosen set whose routing in `layer` is known, by position. Throws std::invalid_argument on impossible
/// rows unless they are dropped. The weighting plays no part.
[[nodiscard]] inline std::vector<int> known_tokens(const RoutingTrace& trace, int layer,
                                                   const SignatureOptions& options = {}) {
  std::vector<int> out;
  for (int token = 0; token < trace.tokens(); ++token) {
    if (!contains(options.tokens, trace.columns().types[static_cast<std::size_t>(token)])) continue;
    const RowState state = trace.state(layer, token);
    if (state == RowState::impossible && !options.drop_invalid) throw detail::impossible_row(trace, layer, token);
    if (state == RowState::known) out.push_back(token);
  }
  return out;
}

/// How many experts two rows of distinct ids have in common.
[[nodiscard]] inline int common_experts(std::span<const ExpertId> a, std::span<const ExpertId> b) noexcept {
  int common = 0;
  for (const ExpertId x : a)
    for (const ExpertId y : b) common += x == y ? 1 : 0;
  return common;
}

}  // namespace routesig
