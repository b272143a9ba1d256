/// \file shared_tokens.hpp
/// The tokens that two recordings of one prompt have in common: only their routing may be compared token by token.
///
///     const auto shared = routesig::shared_tokens(in_float32, in_bfloat16);
///     for (const auto& token : shared.tokens) use(in_float32.experts(3, token.a), in_bfloat16.experts(3, token.b));
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "routesig/trace.hpp"

namespace routesig {

/// Places of one token in two recordings.
struct TokenPair {
  int a = 0;
  int b = 0;

  friend bool operator==(const TokenPair&, const TokenPair&) = default;
};

/// The tokens that two recordings of one prompt have in common, from its start.
struct SharedTokens {
  std::vector<TokenPair> tokens{};          ///< by position
  std::optional<std::int32_t> parts_at{};   ///< position of the first token that only one has, or that differs
  std::optional<std::string> incomparable;  ///< why no token may be compared
};

/// What two recordings of one prompt have in common: tokens of the same id at the same position, up to the first
/// difference. Nothing may be compared where prompt tokens differ, or where either holds no token ids.
[[nodiscard]] inline SharedTokens shared_tokens(const RoutingTrace& a, const RoutingTrace& b) {
  const auto by_position = [](const RoutingTrace& trace) {
    std::vector<int> order(static_cast<std::size_t>(trace.tokens()));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](int t) { return trace.columns().positions[static_cast<std::size_t>(t)]; });
    return order;
  };
  const auto prompt_tokens = [](const RoutingTrace& trace) {
    return static_cast<std::size_t>(std::ranges::count(trace.columns().types, TokenType::prompt));
  };
  const TraceColumns &x = a.columns(), &y = b.columns();
  const std::vector<int> left = by_position(a), right = by_position(b);
  SharedTokens out;
  if (left.empty() || right.empty() || x.token_ids.empty() || y.token_ids.empty()) {
    out.incomparable = left.empty() || right.empty() ? "no tokens were recorded" : "no token ids were recorded";
    return out;
  }
  const std::size_t both = std::min(left.size(), right.size());
  std::size_t same = 0;
  for (; same < both; ++same) {
    const auto s = static_cast<std::size_t>(left[same]), t = static_cast<std::size_t>(right[same]);
    if (x.positions[s] != y.positions[t] || x.token_ids[s] != y.token_ids[t]) break;
    out.tokens.push_back({left[same], right[same]});
  }
  if (same < left.size())
    out.parts_at = x.positions[static_cast<std::size_t>(left[same])];
  else if (same < right.size())
    out.parts_at = y.positions[static_cast<std::size_t>(right[same])];
  if (same < std::max(prompt_tokens(a), prompt_tokens(b))) {
    out.incomparable = sentence("its prompt tokens differ (from position ", *out.parts_at, " on)");
    out.tokens.clear();
  }
  return out;
}

}  // namespace routesig
