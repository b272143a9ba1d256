#include "routesig/controls/overlap_ladder.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace detail {
namespace {

/// Shared experts and pairs, over ordered pairs of tokens.
struct Overlap {
  std::uint64_t shared = 0;
  std::uint64_t pairs = 0;

  Overlap& operator+=(const Overlap& other) {
    shared += other.shared;
    pairs += other.pairs;
    return *this;
  }
  [[nodiscard]] Overlap operator-(const Overlap& part) const { return {shared - part.shared, pairs - part.pairs}; }
  [[nodiscard]] double mean(std::size_t top_k) const {
    return static_cast<double>(shared) / (static_cast<double>(pairs) * static_cast<double>(top_k));
  }
};

/// How often rows chose each expert.
class ExpertCounts {
 public:
  explicit ExpertCounts(std::size_t experts) : counts_(experts) {}

  void add(std::span<const ExpertId> row) {
    for (const ExpertId e : row) ++counts_[e];
    ++rows_;
  }
  void clear() {
    std::ranges::fill(counts_, 0U);
    rows_ = 0;
  }
  /// Of a row with all that were added.
  [[nodiscard]] Overlap overlap(std::span<const ExpertId> row) const {
    Overlap out{.pairs = rows_};
    for (const ExpertId e : row) out.shared += counts_[e];
    return out;
  }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::span<const std::uint32_t> counts() const noexcept { return counts_; }

 private:
  std::vector<std::uint32_t> counts_;
  std::uint64_t rows_ = 0;
};

/// The overlap of one unit's tokens with those of other units: of its task, and of other tasks.
struct UnitOverlap {
  std::size_t unit = 0;
  Overlap same{}, other{};
};

/// The tokens of a table by id, then task and unit.
struct TokensById {
  const TokenTable& table;
  Units units;
  std::vector<std::uint32_t> order;  // [tokens]
  std::vector<std::size_t> begins;   // [ids + 1]: in the order, of ids that occur in two units; others are no id's
  std::vector<std::size_t> ends;     // [ids]

  explicit TokensById(const TokenTable& all) : table(all), units(all.units()), order(all.unshuffled()) {
    std::ranges::stable_sort(order, {}, [&](std::uint32_t t) { return table.token_id[t]; });
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      while (end < order.size() && table.token_id[order[end]] == table.token_id[order[begin]]) ++end;
      if (unit(order[begin]) == unit(order[end - 1])) continue;
      begins.push_back(begin);
      ends.push_back(end);
    }
  }
  [[nodiscard]] std::size_t ids() const noexcept { return begins.size(); }
  [[nodiscard]] std::span<const std::uint32_t> of_id(std::size_t id) const {
    return std::span(order).subspan(begins[id], ends[id] - begins[id]);
  }
  [[nodiscard]] int unit(std::uint32_t token) const { return units.of(table.prompt[token]); }
  [[nodiscard]] int task(std::uint32_t token) const { return table.task[table.prompt[token]]; }
};

/// The overlaps of units in one layer.
class LayerOverlaps {
 public:
  LayerOverlaps(const TokensById& tokens, std::size_t layer)
      : tokens_(tokens),
        layer_(layer),
        all_(tokens.table.experts),
        task_(tokens.table.experts),
        unit_(tokens.table.experts) {}

  /// Of tokens in the order task, unit: an entry for each unit. Valid until the next call.
  [[nodiscard]] std::span<const UnitOverlap> operator()(std::span<const std::uint32_t> tokens) {
    known_.clear();
    out_.clear();
    all_.clear();
    for (const std::uint32_t t : tokens)
      if (row(t)[0] != kNoExpert) known_.push_back(t);
    for (const std::uint32_t t : known_) all_.add(row(t));
    for_blocks(
        known_, [&](std::uint32_t t) { return tokens_.task(t); },
        [&](std::span<const std::uint32_t> of_task) {
          fill(task_, of_task);
          for_blocks(
              of_task, [&](std::uint32_t t) { return tokens_.unit(t); },
              [&](std::span<const std::uint32_t> of_unit) { add_unit(of_unit); });
        });
    return out_;
  }
  /// Of the last call.
  [[nodiscard]] const ExpertCounts& all() const noexcept { return all_; }

 private:
  template <typename Label, typename Visit>
  static void for_blocks(std::span<const std::uint32_t> tokens, const Label& label, const Visit& visit) {
    for (std::size_t begin = 0, end = 0; begin < tokens.size(); begin = end) {
      while (end < tokens.size() && label(tokens[end]) == label(tokens[begin])) ++end;
      visit(tokens.subspan(begin, end - begin));
    }
  }
  void fill(ExpertCounts& counts, std::span<const std::uint32_t> tokens) const {
    counts.clear();
    for (const std::uint32_t t : tokens) counts.add(row(t));
  }
  void add_unit(std::span<const std::uint32_t> tokens) {
    fill(unit_, tokens);
    UnitOverlap one{.unit = static_cast<std::size_t>(tokens_.unit(tokens.front()))};
    for (const std::uint32_t t : tokens) {
      const Overlap task = task_.overlap(row(t));
      one.same += task - unit_.overlap(row(t));
      one.other += all_.overlap(row(t)) - task;
    }
    out_.push_back(one);
  }
  [[nodiscard]] std::span<const ExpertId> row(std::uint32_t token) const { return tokens_.table.row(token, layer_); }

  const TokensById& tokens_;
  std::size_t layer_;
  ExpertCounts all_, task_, unit_;
  std::vector<std::uint32_t> known_;  // tokens
  std::vector<UnitOverlap> out_;
};

/// Delta of one layer, its terms added id by id, and what each unit contributes to it.
class EffectSum {
 public:
  EffectSum(std::size_t units, std::size_t top_k) : terms_(units), weights_of_(units), top_k_(top_k) {}

  /// Whether the id has both kinds of pairs, and so a term.
  bool add(std::span<const UnitOverlap> of_id) {
    Overlap same, other;
    for (const UnitOverlap& one : of_id) {
      same += one.same;
      other += one.other;
    }
    if (same.pairs == 0 || other.pairs == 0) return false;
    const auto n_s = static_cast<double>(same.pairs), n_d = static_cast<double>(other.pairs);
    const double o_s = same.mean(top_k_), o_d = other.mean(top_k_);
    const double weight = n_s * n_d / (n_s + n_d);
    weighted_ += weight * (o_s - o_d);
    weights_ += weight;
    for (const UnitOverlap& one : of_id) {
      // Derivatives by how often the unit counts: every pair of its tokens counts so often.
      const double of_overlap = weight * 2.0 * (beyond(one.same, o_s) / n_s - beyond(one.other, o_d) / n_d);
      const double of_weight =
          2.0 * (n_d * n_d * static_cast<double>(one.same.pairs) + n_s * n_s * static_cast<double>(one.other.pairs)) /
          ((n_s + n_d) * (n_s + n_d));
      terms_[one.unit] += of_overlap + of_weight * (o_s - o_d);
      weights_of_[one.unit] += of_weight;
    }
    return true;
  }
  [[nodiscard]] std::optional<double> value() const {
    return weights_ > 0.0 ? std::optional(weighted_ / weights_) : std::nullopt;
  }
  /// Derivative of the value by how often each unit counts: [units], of sum 0. Only where there is a value.
  [[nodiscard]] std::vector<double> influence() const {
    std::vector<double> out(terms_.size());
    for (std::size_t u = 0; u < out.size(); ++u)
      out[u] = (terms_[u] - weighted_ / weights_ * weights_of_[u]) / weights_;
    return out;
  }

 private:
  [[nodiscard]] double beyond(const Overlap& overlap, double mean) const {
    return static_cast<double>(overlap.shared) / static_cast<double>(top_k_) -
           mean * static_cast<double>(overlap.pairs);
  }

  double weighted_ = 0.0, weights_ = 0.0;
  std::vector<double> terms_, weights_of_;  // [units]
  std::size_t top_k_;
};

/// Standard error of what has these derivatives by how often each unit counts.
[[nodiscard]] double linearized_error(std::span<const double> influence) {
  double squares = 0.0;
  for (const double x : influence) squares += x * x;
  const auto units = static_cast<double>(influence.size());
  return std::sqrt(squares * units / (units - 1.0));
}

/// Mean of those optional numbers of the items that are there.
template <typename Items, typename Projection>
[[nodiscard]] std::optional<double> mean_present(const Items& items, const Projection& projection) {
  double sum = 0.0, count = 0.0;
  for (const auto& item : items) {
    const std::optional<double> value = std::invoke(projection, item);
    sum += value.value_or(0.0);
    count += value ? 1.0 : 0.0;
  }
  return count > 0.0 ? std::optional(sum / count) : std::nullopt;
}

/// One layer; marks the ids on which its Delta rests, and gives what each unit contributes to it: [units] or nothing.
[[nodiscard]] std::vector<double> fill_layer(const TokensById& tokens, std::size_t layer, LadderLayer& out,
                                             std::vector<std::uint8_t>& matched) {
  const TokenTable& table = tokens.table;
  LayerOverlaps overlaps(tokens, layer);
  EffectSum effect(tokens.units.size(), table.top_k);
  std::array<Overlap, 4> rungs{};
  for (std::size_t id = 0; id < tokens.ids(); ++id) {
    interruption_point();
    const auto of_id = overlaps(tokens.of_id(id));
    matched[id] = effect.add(of_id) ? 1 : 0;
    for (const UnitOverlap& one : of_id) {
      rungs[kSameIdSameTask] += one.same;
      rungs[kSameIdOtherTask] += one.other;
    }
  }
  for (const UnitOverlap& one : overlaps(table.unshuffled())) {
    rungs[kOtherIdSameTask] += one.same;
    rungs[kOtherIdOtherTask] += one.other;
  }
  for (const std::size_t rung : {kOtherIdSameTask, kOtherIdOtherTask}) rungs[rung] = rungs[rung] - rungs[rung - 2];
  for (std::size_t rung = 0; rung < 4; ++rung) {
    out.pairs[rung] = rungs[rung].pairs / 2;  // ordered pairs were counted
    if (rungs[rung].pairs > 0) out.overlap[rung] = rungs[rung].mean(table.top_k);
  }
  if (const auto rows = static_cast<double>(overlaps.all().rows()); rows > 0.0) {
    double sum = 0.0;
    for (const std::uint32_t count : overlaps.all().counts()) sum += (count / rows) * (count / rows);
    out.chance = sum / static_cast<double>(table.top_k);
  }
  if (!effect.value()) return {};
  out.effect = MatchedEffect{.value = *effect.value()};
  return effect.influence();
}

/// Delta and its standard error, of every layer and overall, from what units contribute: [layers][units] or empty.
void estimate_effects(const std::vector<std::vector<double>>& influence, OverlapLadder& out) {
  const auto value = [](const LadderLayer& layer) {
    return layer.effect ? std::optional(layer.effect->value) : std::nullopt;
  };
  const std::optional<double> overall = mean_present(out.layers, value);
  if (!overall) return;
  out.effect = MatchedEffect{.value = *overall};
  if (out.fewest < kFewestResampled) return;
  std::vector<double> all(out.units);
  double present = 0.0;
  for (std::size_t l = 0; l < out.layers.size(); ++l) {
    if (!out.layers[l].effect) continue;
    out.layers[l].effect->error = linearized_error(influence[l]);
    for (std::size_t u = 0; u < all.size(); ++u) all[u] += influence[l][u];
    present += 1.0;
  }
  for (double& x : all) x /= present;
  out.effect->error = linearized_error(all);
}

}  // namespace
}  // namespace detail

OverlapLadder overlap_ladder(const TokenTable& table) {
  const detail::TokensById tokens(table);
  OverlapLadder out{.units = tokens.units.size(), .fewest = tokens.units.fewest()};
  out.layers.resize(table.layers);
  std::vector<std::vector<std::uint8_t>> matched(table.layers, std::vector<std::uint8_t>(tokens.ids()));
  std::vector<std::vector<double>> influence(table.layers);
  parallel_for(table.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) influence[l] = detail::fill_layer(tokens, l, out.layers[l], matched[l]);
  });
  for (std::size_t id = 0; id < tokens.ids(); ++id)
    out.token_ids += std::ranges::any_of(matched, [&](const auto& layer) { return layer[id] != 0; }) ? 1U : 0U;
  for (std::size_t rung = 0; rung < 4; ++rung)
    out.overlap[rung] = detail::mean_present(out.layers, [&](const LadderLayer& layer) { return layer.overlap[rung]; });
  out.chance = detail::mean_present(out.layers, &LadderLayer::chance);
  detail::estimate_effects(influence, out);
  return out;
}

}  // namespace routesig
