/// \file shared_tokens.hpp
/// The tokens that two recordings of one prompt have in common: only their routing may be compared token by token.
///
///     const auto shared = routesig::shared_tokens(in_float32, in_bfloat16);
///     for (const auto& token : shared.tokens) use(in_float32.experts(3, token.a), in_bfloat16.experts(3, token.b));
#pragma once

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
[[nodiscard]] SharedTokens shared_tokens(const RoutingTrace& a, const RoutingTrace& b);

}  // namespace routesig
