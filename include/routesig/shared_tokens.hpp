/// \file shared_tokens.hpp
/// The tokens that two recordings of one prompt have in common: only their routing may be compared token by token.
///
///     const auto shared = routesig::shared_tokens(in_float32, in_bfloat16);
///     for (const auto& token : shared.tokens) use(in_float32.experts(3, token.a), in_bfloat16.experts(3, token.b));
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
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
  const auto prompt_tokens = [](const RoutingTrace& trace) {
    return static_cast<std::size_t>(std::ranges::count(trace.columns().types, TokenType::prompt));
  };
  const TraceColumns &x = a.columns(), &y = b.columns();
  const std::size_t left = x.positions.size(), right = y.positions.size();
  SharedTokens out;
  if (left == 0 || right == 0 || x.token_ids.empty() || y.token_ids.empty()) {
    out.incomparable = left == 0 || right == 0 ? "no tokens were recorded" : "no token ids were recorded";
    return out;
  }
  std::size_t same = 0;
  for (; same < std::min(left, right); ++same) {
    if (x.positions[same] != y.positions[same] || x.token_ids[same] != y.token_ids[same]) break;
    out.tokens.push_back({static_cast<int>(same), static_cast<int>(same)});
  }
  if (same < left)
    out.parts_at = x.positions[same];
  else if (same < right)
    out.parts_at = y.positions[same];
  if (same < std::max(prompt_tokens(a), prompt_tokens(b))) {
    out.incomparable = sentence("its prompt tokens differ (from position ", *out.parts_at, " on)");
    out.tokens.clear();
  }
  return out;
}

}  // namespace routesig
