/// \file identity_rows.hpp
/// Rows that are exactly the ids 0, 1, ..., k - 1: what engines write for padding, and for a router that saw NaN.
///
///     const auto found = routesig::identity_rows(trace);
///     if (!found.tokens.empty()) warn(found.tokens.size(), " tokens with the same ids in every layer");
///
/// They are distinct and in range, so nothing else tells them from data. In one layer such a row may be chance; a token
/// whose rows are all so is one in choose(E, k)^layers where routing is uniform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/trace.hpp"

namespace routesig {

struct IdentityRows {
  std::vector<std::uint64_t> rows{};  ///< [layers] rows that are 0, 1, ..., k - 1 in this order
  std::vector<std::uint64_t> runs{};  ///< [layers] runs of them, over neighbouring tokens
  std::vector<std::size_t> tokens{};  ///< tokens whose known rows, one at least, are all so; ascending
};

[[nodiscard]] inline bool is_identity(std::span<const ExpertId> row) noexcept {
  for (std::size_t i = 0; i < row.size(); ++i)
    if (row[i] != i) return false;
  return true;
}

[[nodiscard]] inline IdentityRows identity_rows(const RoutingTrace& trace) {
  const auto layers = static_cast<std::size_t>(trace.layers());
  IdentityRows found{.rows = std::vector<std::uint64_t>(layers), .runs = std::vector<std::uint64_t>(layers)};
  std::vector<bool> before(layers, false);
  for (int token = 0; token < trace.tokens(); ++token) {
    bool any = false, all = true;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const auto row = trace.experts(static_cast<int>(layer), token);
      const bool identity = is_identity(row);
      found.rows[layer] += identity ? 1U : 0U;
      found.runs[layer] += identity && !before[layer] ? 1U : 0U;
      before[layer] = identity;
      any = any || identity;
      all = all && (identity || row_state(row, trace.info().experts) == RowState::unknown);
    }
    if (any && all) found.tokens.push_back(static_cast<std::size_t>(token));
  }
  return found;
}

}  // namespace routesig
