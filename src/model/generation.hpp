// Continues a batch of sequences token by token.
#pragma once

#include <span>
#include <vector>

#include "run.hpp"
#include "weights.hpp"

namespace routesig::olmoe {

// The prompts and options are checked by the caller. Returns the new ids of each prompt.
[[nodiscard]] std::vector<TokenIds> generate(const OlmoeConfig& config, const Weights& weights,
                                             std::span<const TokenIds> prompts, const GenerateOptions& options,
                                             const Run& run);

}  // namespace routesig::olmoe
