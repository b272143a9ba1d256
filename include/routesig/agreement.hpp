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

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "routesig/shared_tokens.hpp"

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
[[nodiscard]] inline double load_divergence(std::span<const double> a, std::span<const double> b) {
  const auto shares = [](std::span<const double> load) {
    return normalized_layers<double>(load, static_cast<int>(load.size()));
  };
  return 1.0 - JensenShannon{}(shares(a), shares(b));
}

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

namespace detail {

/// Adds the rows of prompts to a table of its own, and to the prompts' places in `cells`.
class AgreementSums {
 public:
  AgreementSums(const Agreement& nothing, const SignatureOptions& options) : options_(options), sums_(nothing) {}

  void add(const RoutingTrace& a, const RoutingTrace& b, PromptAgreement& prompt, std::span<RowAgreement> cells) {
    const SharedTokens shared = shared_tokens(a, b);
    prompt.parts_at = shared.parts_at;
    for (const TokenPair& token : shared.tokens) {
      if (!contains(options_.tokens, a.columns().types[static_cast<std::size_t>(token.a)])) continue;
      if (!contains(options_.tokens, b.columns().types[static_cast<std::size_t>(token.b)])) continue;
      ++prompt.tokens;
      add_token(a, b, token, cells);
    }
    if (prompt.tokens == 0) prompt.reason = shared.incomparable.value_or("no token of the set is the same in both");
  }

  void add_to(Agreement& out) {
    const auto from = tables(sums_), to = tables(out);
    for (std::size_t i = 0; i < from.size(); ++i)
      std::ranges::transform(*from[i], *to[i], to[i]->begin(), std::plus<>());
    out.unknown_rows += sums_.unknown_rows;
    out.dropped_rows += sums_.dropped_rows;
  }

 private:
  static std::array<std::vector<std::uint64_t>*, 5> tables(Agreement& of) {
    return {&of.first_divergent, &of.picks_a, &of.picks_b, &of.best_a, &of.best_b};
  }

  void add_token(const RoutingTrace& a, const RoutingTrace& b, const TokenPair& token, std::span<RowAgreement> cells) {
    bool any = false;
    std::size_t first = cells.size();
    for (std::size_t l = 0; l < cells.size(); ++l) {
      const int layer = static_cast<int>(l);
      if (!known(a, b, layer, token)) continue;
      any = true;
      const bool equal = add_row(a.experts(layer, token.a), b.experts(layer, token.b), l * sums_.experts, cells[l]);
      if (!equal) first = std::min(first, l);
    }
    sums_.first_divergent[first] += any ? 1 : 0;
  }

  [[nodiscard]] bool known(const RoutingTrace& a, const RoutingTrace& b, int layer, const TokenPair& token) {
    const RowState of_a = a.state(layer, token.a), of_b = b.state(layer, token.b);
    if (!options_.drop_invalid) {
      if (of_a == RowState::impossible) throw impossible_row(a, layer, token.a);
      if (of_b == RowState::impossible) throw impossible_row(b, layer, token.b);
    }
    if (of_a == RowState::known && of_b == RowState::known) return true;
    ++(of_a == RowState::impossible || of_b == RowState::impossible ? sums_.dropped_rows : sums_.unknown_rows);
    return false;
  }

  [[nodiscard]] bool add_row(std::span<const ExpertId> a, std::span<const ExpertId> b, std::size_t base,
                             RowAgreement& cell) {
    const auto common = static_cast<std::size_t>(common_experts(a, b));
    const bool equal = common == a.size();
    ++cell.rows;
    cell.common += common;
    cell.equal += equal ? 1U : 0U;
    for (const ExpertId e : a) ++sums_.picks_a[base + e];
    for (const ExpertId e : b) ++sums_.picks_b[base + e];
    if (sums_.ranked) {
      cell.best += a[0] == b[0] ? 1U : 0U;
      ++sums_.best_a[base + a[0]];
      ++sums_.best_b[base + b[0]];
    }
    return equal;
  }

  const SignatureOptions& options_;
  Agreement sums_;
};

[[nodiscard]] inline Agreement no_agreement(const RoutingInfo& a, const RoutingInfo& b, std::size_t prompts) {
  Agreement out{.layers = static_cast<std::size_t>(a.layers),
                .experts = static_cast<std::size_t>(a.experts),
                .top_k = static_cast<std::size_t>(a.top_k),
                .ranked = a.ranked && b.ranked};
  out.prompts.resize(prompts);
  out.cells.resize(prompts * out.layers);
  out.first_divergent.resize(out.layers + 1);
  for (auto* table : {&out.picks_a, &out.picks_b, &out.best_a, &out.best_b}) table->resize(out.layers * out.experts);
  return out;
}

}  // namespace detail

/// Agreement of `a` and `b`, which hold the same prompts in one order and have one routing shape. The weighting plays
/// no part. Throws std::invalid_argument on other shapes or prompts, and on impossible rows unless they are dropped.
[[nodiscard]] inline Agreement agreement(const TraceSet& a, const TraceSet& b, const SignatureOptions& options = {},
                                         const Progress& progress = {}) {
  if (a.size() != b.size())
    throw invalid_argument("agreement: expected the same prompts, got ", a.size(), " and ", b.size());
  if (a.empty()) return {};
  if (!a.info()->same_shape(*b.info()))
    throw invalid_argument("agreement: expected one routing shape, got ", a.info()->layers, " layers x ",
                           a.info()->experts, " experts x top-", a.info()->top_k, " and ", b.info()->layers, " x ",
                           b.info()->experts, " x top-", b.info()->top_k);
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].sequence().id != b[i].sequence().id)
      throw invalid_argument("agreement: expected the same prompts in one order, got ", shown(a[i].sequence().id),
                             " and ", shown(b[i].sequence().id));
  Agreement out = detail::no_agreement(*a.info(), *b.info(), a.size());
  const Agreement nothing = detail::no_agreement(*a.info(), *b.info(), 0);
  std::mutex mutex;  // sums of whole numbers: their order does not matter
  const auto work = [&](std::size_t begin, std::size_t end) {
    detail::AgreementSums sums(nothing, options);
    for (std::size_t i = begin; i < end; ++i) {
      interruption_point();
      sums.add(a[i], b[i], out.prompts[i], std::span(out.cells).subspan(i * out.layers, out.layers));
    }
    const std::scoped_lock lock(mutex);
    sums.add_to(out);
  };
  parallel_for(a.size(), 8, work, progress);
  return out;
}

}  // namespace routesig
