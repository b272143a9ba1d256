// Whole sequences through the model, packed into forward steps of bounded size.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "network.hpp"
#include "run.hpp"

namespace routesig::olmoe {

// Rows of one forward step, at most, unless a single sequence is longer: bounds the memory of a long batch.
inline constexpr std::size_t kStepRows = 512;

// After each step: the prompts [begin, end) it held, its segments (one for each) and the hidden states [rows, D].
using StepDone = std::function<void(std::size_t begin, std::size_t end, const Step& step, const at::Tensor& hidden)>;

// Runs all of `prompts`; begins their sequences, does not end them. Where there is a cache, each takes a slot of it.
void prefill(const OlmoeConfig& config, const Weights& weights, std::span<const TokenIds> prompts, const Run& run,
             KeyValueCache* cache, bool hidden_wanted, const StepDone& done);

}  // namespace routesig::olmoe
