#include "routesig/information/information.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

double entropy_bits(std::span<const double> p) noexcept {
  double sum = 0.0;
  for (const double x : p)
    if (x > 0.0) sum -= x * std::log2(x);
  return sum;
}

LogLossBound log_loss_bound(std::span<const double> probabilities, std::span<const int> label, std::size_t classes,
                            double floor) {
  const std::size_t n = label.size();
  if (n == 0 || classes < 1 || probabilities.size() != n * classes)
    throw invalid_argument("information: expected probabilities of ", n, " prompts x ", classes,
                           " classes and at least one prompt, got ", probabilities.size());
  if (!(floor >= 0.0 && floor < 1.0)) throw invalid_argument("information: expected a floor in [0, 1), got ", floor);
  std::vector<double> shares(classes), losses(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (label[i] < 0 || static_cast<std::size_t>(label[i]) >= classes)
      throw invalid_argument("information: expected labels from 0 to ", classes - 1, ", got ", label[i]);
    double total = 0.0;
    for (const double q : probabilities.subspan(i * classes, classes)) {
      if (!(q >= 0.0)) throw invalid_argument("information: expected probabilities of 0 or more, got ", q);
      total += q;
    }
    if (!(std::abs(total - 1.0) <= 1e-6))
      throw invalid_argument("information: expected probabilities that sum to 1, got ", total, " for prompt ", i);
    const auto of = static_cast<std::size_t>(label[i]);
    shares[of] += 1.0;
    losses[i] = -std::log2((1.0 - floor) * probabilities[i * classes + of] + floor / static_cast<double>(classes));
    if (!std::isfinite(losses[i]))
      throw invalid_argument("information: expected a floor above 0 where a label has probability 0 (prompt ", i, ")");
  }
  for (double& share : shares) share /= static_cast<double>(n);
  LogLossBound out{.entropy_bits = entropy_bits(shares)};
  for (const double loss : losses) out.loss_bits += loss / static_cast<double>(n);
  double squares = 0.0;
  for (const double loss : losses) squares += (loss - out.loss_bits) * (loss - out.loss_bits);
  if (n > 1) out.standard_error = std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
  out.unclipped_bits = out.entropy_bits - out.loss_bits;
  out.bits = std::max(0.0, out.unclipped_bits);
  return out;
}

double upper_error(std::uint64_t errors, std::uint64_t n, double confidence) {
  if (n == 0 || errors > n || !(confidence > 0.0 && confidence < 1.0))
    throw invalid_argument("information: expected errors of at least one prompt and a confidence in (0, 1), got ",
                           errors, " of ", n, " and ", confidence);
  if (errors == n) return 1.0;
  const auto trials = static_cast<double>(n);
  const auto at_most = [&](double p) {  // P(X <= errors)
    double sum = 0.0;
    for (std::uint64_t x = 0; x <= errors; ++x) {
      const auto k = static_cast<double>(x);
      sum += std::exp(std::lgamma(trials + 1) - std::lgamma(k + 1) - std::lgamma(trials - k + 1) + k * std::log(p) +
                      (trials - k) * std::log1p(-p));
    }
    return sum;
  };
  double low = 0.0, high = 1.0;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = 0.5 * (low + high);
    (at_most(middle) > 1.0 - confidence ? low : high) = middle;
  }
  return high;
}

FanoBound fano_bound(std::uint64_t errors, std::uint64_t n, int classes, double confidence,
                     std::optional<double> entropy) {
  if (classes < 2) throw invalid_argument("information: expected at least 2 classes, got ", classes);
  const double most = std::log2(classes), h = entropy.value_or(most);
  if (!(h >= 0.0 && h <= most + 1e-9))
    throw invalid_argument("information: expected an entropy from 0 to ", most, " bits (", classes, " classes), got ",
                           h);
  const auto bound = [&](double error) {
    // Beyond 1 - 1/C, where guessing stands, a larger error would "tell" more again: the bound is that of guessing.
    const double p = std::min(error, 1.0 - 1.0 / classes);
    const double pair[] = {p, 1.0 - p};
    return std::max(0.0, h - entropy_bits(pair) - p * std::log2(classes - 1.0));
  };
  const double limit = upper_error(errors, n, confidence);
  return {.point_bits = bound(static_cast<double>(errors) / static_cast<double>(n)),
          .valid_bits = bound(limit),
          .upper_error = limit};
}

namespace detail {
namespace {

/// One layer's rows of the prompts that count, added up over units, and the estimates under any labels.
class LayerRows {
 public:
  LayerRows(std::size_t units, std::size_t experts)
      : sums_(units * experts), members_(units), squares_(units), total_(experts), weight_(experts) {}

  /// `row` [experts], summing to 1.
  void add(std::size_t unit, std::span<const double> row) {
    for (std::size_t e = 0; e < total_.size(); ++e) {
      sums_[unit * total_.size() + e] += row[e];
      total_[e] += row[e];
    }
    members_[unit] += 1.0;
    prompts_ += 1.0;
  }
  /// After all rows: distances are weighted by 1 / share, so that half of a squared one is a divergence in nats.
  void finish() {
    for (std::size_t e = 0; e < total_.size(); ++e)
      if (total_[e] > 0.0) weight_[e] = prompts_ / total_[e];
    for (std::size_t u = 0; u < members_.size(); ++u)
      if (members_[u] > 0.0) {
        present_.push_back(u);
        squares_[u] = weighted(sum_of(u), sum_of(u));
      }
  }

  [[nodiscard]] double prompts() const noexcept { return prompts_; }
  /// The units that have a row, ascending.
  [[nodiscard]] const std::vector<std::size_t>& units() const noexcept { return present_; }

  /// Rows added up, label by label.
  struct Sums {
    std::vector<double> rows;     // [classes, experts]
    std::vector<double> members;  // [classes]
    std::vector<double> all;      // [experts]
  };

  /// `label` is [units].
  [[nodiscard]] Sums sums(std::span<const std::uint32_t> label, std::size_t classes) const {
    const std::size_t experts = total_.size();
    Sums out{std::vector<double>(classes * experts), std::vector<double>(classes), total_};
    for (const std::size_t u : present_) {
      const std::size_t c = label[u];
      for (std::size_t e = 0; e < experts; ++e) out.rows[c * experts + e] += sum_of(u)[e];
      out.members[c] += members_[u];
    }
    return out;
  }
  /// The same without one unit.
  [[nodiscard]] Sums without(Sums sums, std::span<const std::uint32_t> label, std::size_t left_out) const {
    const std::size_t experts = total_.size(), c = label[left_out];
    for (std::size_t e = 0; e < experts; ++e) {
      sums.all[e] -= sum_of(left_out)[e];
      sums.rows[c * experts + e] -= sum_of(left_out)[e];
    }
    sums.members[c] -= members_[left_out];
    return sums;
  }
  /// H(mean) - sum_c (n_c / N) H(mean of c).
  [[nodiscard]] static double information(Sums sums) {
    const std::size_t experts = sums.all.size();
    const double n = std::accumulate(sums.members.begin(), sums.members.end(), 0.0);
    for (double& x : sums.all) x /= n;
    double out = entropy_bits(sums.all);
    for (std::size_t c = 0; c < sums.members.size(); ++c) {
      if (sums.members[c] == 0.0) continue;  // what rounding leaves of nothing is no share
      const auto row = std::span(sums.rows).subspan(c * experts, experts);
      for (double& x : row) x /= sums.members[c];
      out -= sums.members[c] / n * entropy_bits(row);
    }
    return out;
  }
  /// Squared distance of the tasks' means from the common mean, over what the spread of units within tasks makes of it
  /// where tasks do not differ (an ANOVA-type statistic: Brunner, Dette and Munk, JASA 1997). Permuting labels on it
  /// holds its level where tasks differ in the length of their prompts or the size of their groups.
  [[nodiscard]] double statistic(std::span<const std::uint32_t> label, const Sums& sums) const {
    const std::size_t experts = total_.size(), classes = sums.members.size();
    std::vector<double> weighted_rows(classes * experts), squares(classes), sizes(classes), units(classes);
    for (const std::size_t u : present_) {
      const std::size_t c = label[u];
      squares[c] += squares_[u];
      sizes[c] += members_[u] * members_[u];
      units[c] += 1.0;
      for (std::size_t e = 0; e < experts; ++e) weighted_rows[c * experts + e] += members_[u] * sum_of(u)[e];
    }
    double between = 0.0, expected = 0.0, known = 0.0, alone = 0.0;
    std::vector<double> mean(experts), apart(experts);
    for (std::size_t c = 0; c < classes; ++c) {
      const double n = sums.members[c], share = n / prompts_;
      if (n == 0.0) continue;
      for (std::size_t e = 0; e < experts; ++e) {
        mean[e] = sums.rows[c * experts + e] / n;
        apart[e] = mean[e] - total_[e] / prompts_;
      }
      between += share * weighted(apart, apart);
      if (units[c] < 2.0) {
        alone += share * (1.0 - share);
        continue;
      }
      const auto row = std::span(weighted_rows).subspan(c * experts, experts);
      const double spread = squares[c] - 2.0 * weighted(mean, row) + sizes[c] * weighted(mean, mean);
      expected += share * (1.0 - share) * units[c] / (units[c] - 1.0) * std::max(spread, 0.0) / (n * n);
      known += share * (1.0 - share);
    }
    if (known > 0.0) expected *= (known + alone) / known;  // tasks of one unit: as the others
    return between / std::max(expected, 1e-15);
  }

 private:
  [[nodiscard]] std::span<const double> sum_of(std::size_t unit) const {
    return std::span(sums_).subspan(unit * total_.size(), total_.size());
  }
  /// sum a b / share.
  [[nodiscard]] double weighted(std::span<const double> a, std::span<const double> b) const {
    double sum = 0.0;
    for (std::size_t e = 0; e < weight_.size(); ++e) sum += a[e] * b[e] * weight_[e];
    return sum;
  }

  std::vector<double> sums_;            // [units, experts]
  std::vector<double> members_;         // [units]: prompts with a row
  std::vector<double> squares_;         // [units]: weighted squares of their sums
  std::vector<double> total_, weight_;  // [experts]; weight: 1 / share
  std::vector<std::size_t> present_;    // units that have a row
  double prompts_ = 0.0;
};

/// The rows of every layer [layers]: those of labelled prompts with routing in it.
[[nodiscard]] std::vector<LayerRows> layer_rows(std::span<const double> values, std::size_t layers, std::size_t experts,
                                                const Units& units) {
  std::vector<LayerRows> out(layers, LayerRows(units.size(), experts));
  for (std::size_t u = 0; u < units.size(); ++u)
    for (const std::size_t p : units.members(u))
      for (std::size_t l = 0; l < layers; ++l) {
        const auto row = values.subspan((p * layers + l) * experts, experts);
        double sum = 0.0;
        for (const double x : row) sum += x;
        if (!std::isfinite(sum)) throw invalid_argument("information: expected finite values, got ", sum);
        if (sum > 0.0) out[l].add(u, row);
      }
  for (LayerRows& layer : out) layer.finish();
  return out;
}

/// Plug-in, correction by the draws that `out` holds (none: no correction), and jackknife of one layer.
void estimate(const LayerRows& rows, std::span<const std::uint32_t> label, std::size_t classes, double scale,
              LayerInformation& out) {
  const LayerRows::Sums sums = rows.sums(label, classes);
  out.plug_in = LayerRows::information(sums);
  out.statistic = rows.statistic(label, sums);
  const auto n = static_cast<double>(out.units);
  std::vector<double> without;
  for (const std::size_t unit : rows.units()) {
    interruption_point();
    without.push_back(LayerRows::information(rows.without(sums, label, unit)));
  }
  double mean = 0.0, squares = 0.0;
  for (const double x : without) mean += x / n;
  for (const double x : without) squares += (x - mean) * (x - mean);
  out.standard_error = scale * std::sqrt(squares * (n - 1.0) / n);
  if (out.draws.empty()) return;
  double null = 0.0;
  for (const double draw : out.draws) null += draw / static_cast<double>(out.draws.size());
  out.null_mean = null;
  out.corrected = scale * (*out.plug_in - null);
}

}  // namespace
}  // namespace detail

std::vector<LayerInformation> layer_information(std::span<const double> values, std::size_t prompts, std::size_t layers,
                                                std::size_t experts, std::span<const int> task,
                                                std::span<const int> group, LabellingOptions options,
                                                const Progress& progress) {
  if (values.size() != prompts * layers * experts || task.size() != prompts)
    throw invalid_argument("information: expected ", prompts * layers * experts, " values and ", prompts,
                           " tasks, got ", values.size(), " and ", task.size());
  const Units units(task, group);
  const std::vector<detail::LayerRows> rows = detail::layer_rows(values, layers, experts, units);
  const std::vector<std::uint32_t> observed(units.task().begin(), units.task().end());
  const std::size_t classes = observed.empty() ? 0 : std::size_t{std::ranges::max(observed)} + 1;

  options.purpose = Draws::information;
  std::optional<Labellings> labellings;
  if (options.permutations > 0) labellings.emplace(units, options);
  const std::size_t draws = labellings ? labellings->size() : 0;

  std::vector<LayerInformation> out(layers);
  std::vector<double> scale(layers);  // (N - 1) / (N - C), 0 where absent
  for (std::size_t l = 0; l < layers; ++l) {
    const std::vector<std::size_t>& present = rows[l].units();
    std::vector<bool> occurs(classes);
    for (const std::size_t unit : present) occurs[observed[unit]] = true;
    const auto n = static_cast<double>(present.size()), tasks = static_cast<double>(std::ranges::count(occurs, true));
    out[l].prompts = static_cast<std::size_t>(rows[l].prompts());
    out[l].units = present.size();
    if (tasks < 2.0 || n <= tasks) continue;
    scale[l] = (n - 1.0) / (n - tasks);
    out[l].draws.resize(draws);
    out[l].statistics.resize(draws);
  }
  const auto permute = [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> label(units.size());
    for (std::size_t i = begin; i < end; ++i) {
      labellings->fill(i, label);
      for (std::size_t l = 0; l < layers; ++l) {
        interruption_point();
        if (!(scale[l] > 0.0)) continue;
        const auto sums = rows[l].sums(label, classes);
        out[l].statistics[i] = rows[l].statistic(label, sums);
        out[l].draws[i] = detail::LayerRows::information(sums);
      }
    }
  };
  parallel_for(draws, 16, permute, progress);
  const auto finish = [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) {
      if (!(scale[l] > 0.0)) continue;
      detail::estimate(rows[l], observed, classes, scale[l], out[l]);
      if (labellings && labellings->floor() < 1.0) out[l].p = labellings->p_value(*out[l].statistic, out[l].statistics);
    }
  };
  parallel_for(layers, 1, finish);
  return out;
}

}  // namespace routesig
