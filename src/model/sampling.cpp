#include "sampling.hpp"

#include <cmath>
#include <cstddef>

#include "routesig/topk.hpp"

namespace routesig::olmoe {

std::int32_t most_likely(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t id = 1; id < logits.size(); ++id)
    if (order_key(logits[id]) > order_key(logits[best])) best = id;
  return static_cast<std::int32_t>(best);
}

std::int32_t sample(std::span<const float> logits, double temperature, Random& random) {
  const double uniform = random.uniform();  // drawn in any case: the stream advances by one number per token
  const std::int32_t best = most_likely(logits);
  if (is_nonfinite(logits)) return best;
  const double largest = logits[static_cast<std::size_t>(best)];
  const auto mass = [&](std::size_t id) { return std::exp((logits[id] - largest) / temperature); };
  double total = 0.0;
  for (std::size_t id = 0; id < logits.size(); ++id) total += mass(id);
  double below = 0.0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    below += mass(id);
    if (uniform * total < below) return static_cast<std::int32_t>(id);
  }
  return best;  // only where rounding left the sum a hair below the last threshold
}

}  // namespace routesig::olmoe
