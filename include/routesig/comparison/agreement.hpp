/// \file agreement.hpp
/// Do two recordings of the same prompts pick the same experts, token by token? Another number format, engine or
/// version of one model against the first.
///
///     const auto found = routesig::agreement(in_float32, in_bfloat16);   // the same prompts in one order
///     const auto all = found.total();
///     if (all.rows > 0) use(*all.exact(), found.exact_chance(), *all.overlap(found.top_k), found.uniform_chance());
///
/// Rows are compared where both recordings hold the same tokens: all prompt tokens, and generated ones up to the first
/// that differs. Experts are matched by number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// What rows agree on.
struct RowAgreement {
  std::uint64_t rows = 0;    ///< tokens x layers that are known in both
  std::uint64_t equal = 0;   ///< rows with the same set of experts
  std::uint64_t common = 0;  ///< sum of |A & B|
  std::uint64_t best = 0;    ///< rows with the same best expert

  RowAgreement& operator+=(const RowAgreement& other) noexcept {
    rows += other.rows;
    equal += other.equal;
    common += other.common;
    best += other.best;
    return *this;
  }
  /// Shares of the rows; absent where there is none.
  [[nodiscard]] std::optional<double> exact() const noexcept { return share(equal, 1); }
  [[nodiscard]] std::optional<double> top1() const noexcept { return share(best, 1); }
  [[nodiscard]] std::optional<double> overlap(std::size_t top_k) const noexcept { return share(common, top_k); }

 private:
  [[nodiscard]] std::optional<double> share(std::uint64_t sum, std::size_t of_each) const noexcept {
    if (rows == 0) return std::nullopt;
    return static_cast<double>(sum) / (static_cast<double>(rows) * static_cast<double>(of_each));
  }
};

/// How one prompt was compared.
struct PromptAgreement {
  std::size_t tokens = 0;                  ///< compared
  std::optional<std::int32_t> parts_at{};  ///< as in SharedTokens
  std::string reason{};                    ///< why none was compared, else ""
};

/// Jensen-Shannon divergence in bits of two loads, [experts] counts or shares each; 1 where either has none.
[[nodiscard]] double load_divergence(std::span<const double> a, std::span<const double> b);

struct Agreement {
  std::size_t layers = 0;
  std::size_t experts = 0;
  std::size_t top_k = 0;
  bool ranked = false;                           ///< both order experts best first
  std::vector<PromptAgreement> prompts{};        ///< [prompts]
  std::vector<RowAgreement> cells{};             ///< [prompts, layers]
  std::vector<std::uint64_t> first_divergent{};  ///< [layers + 1] tokens by the first known layer that differs, or none
  std::vector<std::uint64_t> picks_a{};          ///< [layers, experts] over the compared rows
  std::vector<std::uint64_t> picks_b{};          ///< [layers, experts]
  std::vector<std::uint64_t> best_a{};           ///< [layers, experts] as best expert
  std::vector<std::uint64_t> best_b{};           ///< [layers, experts]
  std::uint64_t unknown_rows = 0;                ///< of compared tokens, without routing in either recording
  std::uint64_t dropped_rows = 0;                ///< impossible in either, left out by drop_invalid

  [[nodiscard]] RowAgreement prompt(std::size_t index) const {
    return std::accumulate(cells.begin() + at(index * layers), cells.begin() + at((index + 1) * layers), RowAgreement{},
                           [](RowAgreement sum, const RowAgreement& x) { return sum += x; });
  }
  [[nodiscard]] RowAgreement layer(std::size_t index) const {
    RowAgreement sum;
    for (std::size_t i = index; i < cells.size(); i += layers) sum += cells[i];
    return sum;
  }
  [[nodiscard]] RowAgreement total() const {
    RowAgreement sum;
    for (const RowAgreement& one : cells) sum += one;
    return sum;
  }

  /// Expected |A & B| / K of two sets of K experts picked uniformly: K / E.
  [[nodiscard]] double uniform_chance() const noexcept {
    return static_cast<double>(top_k) / static_cast<double>(experts);
  }
  /// The probability that two such sets are the same: 1 / (E choose K).
  [[nodiscard]] double exact_chance() const noexcept {
    double chance = 1.0;
    for (std::size_t i = 0; i < top_k; ++i) chance *= static_cast<double>(i + 1) / static_cast<double>(experts - i);
    return chance;
  }
  /// Expected |A & B| / K of one layer where each recording keeps its shares pi of tokens and ignores the other:
  /// sum pi_a pi_b / K. Absent without a row.
  [[nodiscard]] std::optional<double> marginal_chance(std::size_t index) const {
    const auto chance = meeting_chance(picks_a, picks_b, index);
    return chance ? std::optional(*chance / static_cast<double>(top_k)) : std::nullopt;
  }
  /// The same of the best expert: sum rho_a rho_b.
  [[nodiscard]] std::optional<double> top1_chance(std::size_t index) const {
    return meeting_chance(best_a, best_b, index);
  }
  /// Mean over rows of a layer's chance: what `of_layer(index)` gives, weighted by the rows of the layer.
  template <typename OfLayer>
  [[nodiscard]] std::optional<double> mean_over_rows(const OfLayer& of_layer) const {
    double sum = 0.0, rows = 0.0;
    for (std::size_t l = 0; l < layers; ++l) {
      const std::optional<double> value = of_layer(l);
      const auto weight = static_cast<double>(layer(l).rows);
      sum += weight * value.value_or(0.0);
      rows += value ? weight : 0.0;
    }
    return rows > 0.0 ? std::optional(sum / rows) : std::nullopt;
  }
  /// Jensen-Shannon divergence in bits of the loads of one layer, over the compared rows. Absent without a row.
  [[nodiscard]] std::optional<double> load_divergence(std::size_t index) const {
    if (layer(index).rows == 0) return std::nullopt;
    const std::vector<double> a(row(picks_a, index).begin(), row(picks_a, index).end()),
        b(row(picks_b, index).begin(), row(picks_b, index).end());
    return routesig::load_divergence(a, b);
  }

 private:
  [[nodiscard]] static std::ptrdiff_t at(std::size_t index) noexcept { return static_cast<std::ptrdiff_t>(index); }
  [[nodiscard]] std::span<const std::uint64_t> row(const std::vector<std::uint64_t>& table, std::size_t index) const {
    return std::span(table).subspan(index * experts, experts);
  }
  [[nodiscard]] std::optional<double> meeting_chance(const std::vector<std::uint64_t>& a,
                                                     const std::vector<std::uint64_t>& b, std::size_t index) const {
    const auto rows = static_cast<double>(layer(index).rows);
    if (rows == 0.0) return std::nullopt;
    double sum = 0.0;
    for (std::size_t e = 0; e < experts; ++e)
      sum += static_cast<double>(row(a, index)[e]) / rows * (static_cast<double>(row(b, index)[e]) / rows);
    return sum;
  }
};

/// Agreement of `a` and `b`, which hold the same prompts in one order and have one routing shape. The weighting plays
/// no part. Throws std::invalid_argument on other shapes or prompts, and on impossible rows unless they are dropped.
[[nodiscard]] Agreement agreement(const TraceSet& a, const TraceSet& b, const SignatureOptions& options = {},
                                  const Progress& progress = {});

}  // namespace routesig
