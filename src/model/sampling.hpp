// The next token from the logits of the last one. Standard library only.
#pragma once

#include <cstdint>
#include <span>

#include "routesig/random.hpp"

namespace routesig::olmoe {

// The largest logit; ties to the lower id; a NaN is below everything.
[[nodiscard]] std::int32_t most_likely(std::span<const float> logits);

// One draw from softmax(logits / temperature), by one uniform number of `random`. Logits without a softmax (a NaN, a
// +inf, or nothing but -inf) give `most_likely`.
[[nodiscard]] std::int32_t sample(std::span<const float> logits, double temperature, Random& random);

}  // namespace routesig::olmoe
