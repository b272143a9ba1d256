/// \file evidence.hpp
/// What is known of a text after its first tokens: features of prefixes.
///
///     const auto early = routesig::prefix_signatures(traces, /*tokens=*/8);      // [prompts, layers, experts]
///
/// With a classifier's out-of-fold probabilities from such features, log_loss_bound gives the evidence after 8 tokens.
#pragma once

#include <span>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// Signatures of the first `tokens` tokens of every trace (all of a shorter one), by position and by count:
/// [prompts, layers, experts].
[[nodiscard]] std::vector<double> prefix_signatures(std::span<const RoutingTrace> traces, int tokens,
                                                    const SignatureOptions& options = {});

}  // namespace routesig
