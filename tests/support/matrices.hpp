// Matrices of similarities, and the tasks of their prompts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "routesig/random.hpp"

namespace routesig::testing {

/// [n, n], symmetric: 1 on the diagonal, uniform from 0 to 1 elsewhere.
inline std::vector<double> random_matrix(std::size_t n, std::uint64_t seed) {
  std::vector<double> m(n * n, 1.0);
  Random random(seed);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) m[i * n + j] = m[j * n + i] = random.uniform();
  return m;
}

/// Tasks 0, 1, ..., tasks - 1, 0, 1, ...
inline std::vector<int> cyclic(std::size_t n, int tasks) {
  std::vector<int> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<int>(i) % tasks;
  return out;
}

}  // namespace routesig::testing
