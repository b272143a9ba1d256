// Small models in one call, prompts for them, and what a call complains about.
#pragma once

#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "routesig/model/olmoe.hpp"
#include "support/scratch_folder.hpp"

namespace routesig::testing {

/// Random weights, config.json alone.
[[nodiscard]] inline OlmoeModel untrained(const OlmoeConfig& config, std::uint64_t seed = 1) {
  const ScratchFolder folder;
  write_config(folder.path(), config);
  return OlmoeModel::load(folder.path(), {.random_weights = seed});
}

/// From a file of these values.
[[nodiscard]] inline OlmoeModel loaded(const OlmoeConfig& config, const TensorValues& values,
                                       ExpertLayout layout = ExpertLayout::separate, const std::string& dtype = "F32",
                                       const LoadOptions& options = {}) {
  const ScratchFolder folder;
  write_config(folder.path(), config);
  write_weights(folder.path(), config, values, layout, dtype);
  return OlmoeModel::load(folder.path(), options);
}

[[nodiscard]] inline std::vector<TokenIds> random_prompts(std::size_t count, const OlmoeConfig& config,
                                                          std::uint32_t longest = 20) {
  Random random(9);
  std::vector<TokenIds> prompts(count);
  for (TokenIds& ids : prompts) {
    ids.resize(1 + random.below(longest));
    for (std::int32_t& id : ids)
      id = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(config.vocab_size)));
  }
  return prompts;
}

/// The message of what `act` throws.
[[nodiscard]] inline std::string problem(const std::function<void()>& act) {
  try {
    act();
    return "nothing was thrown";
  } catch (const std::exception& error) {
    return error.what();
  }
}

[[nodiscard]] inline bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

}  // namespace routesig::testing
