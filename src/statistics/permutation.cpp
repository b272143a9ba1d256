#include "routesig/statistics/permutation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/inner_products.hpp"
#include "routesig/statistics/unit_pairs.hpp"
#include "statistics/label_sums.hpp"
#include "statistics/pair_sums.hpp"

namespace routesig {
namespace detail {
namespace {

/// D and d of one matrix under many labellings.
struct NullDistribution {
  double difference = 0.0, cohens_d = 0.0;
  bool spread = false;                         // whether similarities vary enough for d
  std::vector<double> differences, cohens_ds;  // [labellings]
};

/// How many pairs there are: in all, within tasks as observed, and within tasks under each labelling.
struct PairNumbers {
  double all = 0.0, within = 0.0;
  std::vector<double> within_of{};  // [labellings]; empty where it is `within` under each

  [[nodiscard]] bool defined() const noexcept { return within > 0.0 && all > within; }
  [[nodiscard]] double under(std::size_t labelling) const { return within_of.empty() ? within : within_of[labelling]; }
};

class NullSeparations {
 public:
  NullSeparations(const Units& units, const Labellings& labellings)
      : units_(units), labellings_(labellings), numbers_(numbers(units.pair_counts(), units.equal_sizes())) {}

  [[nodiscard]] bool defined() const { return numbers_.defined() && !units_.short_task(); }

  /// `with_d`: also d of each labelling, which is of use among several matrices, or where pairs within tasks differ in
  /// number between labellings. Nothing where pairs within or across are missing altogether.
  [[nodiscard]] std::optional<NullDistribution> operator()(std::span<const double> similarity, bool with_d,
                                                           const Progress& progress) const {
    const bool complete = units_.complete(similarity);
    const PairNumbers own = complete ? PairNumbers{} : numbers(units_.pair_counts(similarity), false);
    const PairNumbers& pairs = complete ? numbers_ : own;
    if (!pairs.defined()) return std::nullopt;
    const CentredPairs centred = centred_pairs(units_, similarity);
    std::vector<double> sums = same_label_sums(LowerPairs(centred.sums, units_.size()), labellings_, progress);
    return distribution(pairs, within(centred.sums), upper_sum(centred.squares, units_.size()), std::move(sums),
                        with_d || !pairs.within_of.empty());
  }

  /// The same of one layer's cosines, which are also there as a matrix, every pair among them.
  [[nodiscard]] NullDistribution operator()(const SignatureView& set, std::size_t layer,
                                            std::span<const double> similarity, bool with_d,
                                            const Progress& progress) const {
    const UnitRows rows(units_, set, layer);
    const PairSpread pairs = pair_spread(units_, similarity);
    std::vector<double> sums = same_label_sums(rows, labellings_, progress);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] -= pairs.mean * numbers_.under(i);
    const std::vector<std::uint32_t> label(units_.task().begin(), units_.task().end());
    const double observed = same_label_sum(rows, label, labellings_.tasks());
    return distribution(numbers_, observed - pairs.mean * numbers_.within, pairs.squares, std::move(sums), with_d);
  }

 private:
  /// From the numbers of pairs between units; `constant`: as many within tasks under every labelling.
  [[nodiscard]] PairNumbers numbers(std::span<const double> counts, bool constant) const {
    PairNumbers out{.all = upper_sum(counts, units_.size()), .within = within(counts)};
    if (out.defined() && !constant) out.within_of = same_label_sums(LowerPairs(counts, units_.size()), labellings_);
    return out;
  }
  /// From sums over pairs within tasks, around the common mean: as observed and of each labelling; `sst` of all pairs.
  [[nodiscard]] static NullDistribution distribution(const PairNumbers& pairs, double observed, double sst,
                                                     std::vector<double> sums, bool with_d) {
    NullDistribution out;
    out.difference = difference(pairs, observed, pairs.within);
    const double sd = pooled_sd(pairs, out.difference, pairs.within, sst);
    out.spread = pairs.all > 2.0 && sd > kNoSpread && sd > pooled_sd(pairs, HUGE_VAL, pairs.within, sst);
    out.cohens_d = out.spread ? out.difference / sd : 0.0;
    out.differences = std::move(sums);
    if (with_d) out.cohens_ds.resize(out.differences.size());
    for (std::size_t i = 0; i < out.differences.size(); ++i) {
      const double within = pairs.under(i);
      out.differences[i] = difference(pairs, out.differences[i], within);
      if (out.spread && with_d)
        out.cohens_ds[i] = out.differences[i] / pooled_sd(pairs, out.differences[i], within, sst);
      if (within > 0.0 && within < pairs.all) continue;
      out.differences[i] = HUGE_VAL;  // undefined: counts against the observed one
      if (with_d) out.cohens_ds[i] = HUGE_VAL;
    }
    return out;
  }
  /// Over pairs within tasks as observed.
  [[nodiscard]] double within(std::span<const double> matrix) const {
    double sum = 0.0;
    for (std::size_t g = 0; g < units_.size(); ++g)
      for (std::size_t h = g + 1; h < units_.size(); ++h)
        if (units_.task()[g] == units_.task()[h]) sum += matrix[g * units_.size() + h];
    return sum;
  }
  /// Around their common mean the sums within and across are opposite: D = sum (1 / n_w + 1 / n_a).
  [[nodiscard]] static double difference(const PairNumbers& pairs, double sum, double n_w) {
    return sum * (1.0 / n_w + 1.0 / (pairs.all - n_w));
  }
  /// From SST = (n_w - 1) s_w^2 + (n_a - 1) s_a^2 + (n_w n_a / n) D^2; at least what rounding leaves of SST.
  [[nodiscard]] static double pooled_sd(const PairNumbers& pairs, double difference, double n_w, double sst) {
    const double between = n_w * (pairs.all - n_w) / pairs.all * difference * difference;
    return std::sqrt(std::max(sst - between, 1e-13 * sst) / (pairs.all - 2.0));
  }

  const Units& units_;
  const Labellings& labellings_;
  PairNumbers numbers_;  // where no pair lacks a similarity
};

/// Tests `matrices` similarity matrices [n, n]: of(null, m, with_d, progress) is the distribution of the m-th.
template <typename Distribution>
[[nodiscard]] PermutationTest test_each(std::size_t matrices, const Distribution& of, std::span<const int> task,
                                        std::span<const int> group, const LabellingOptions& options,
                                        const Progress& progress) {
  const Units units(task, group);
  const Labellings labellings(units, options);
  const bool testable = labellings.floor() < 1.0;  // otherwise no labelling differs from the observed one
  const std::size_t draws = labellings.size();
  PermutationTest out{
      .units = units.size(), .exact = labellings.exact(), .permutations = draws, .possible = labellings.possible()};
  const NullSeparations null(units, labellings);
  if (!null.defined()) return out;

  const bool with_d = matrices > 1 || !units.equal_sizes();
  std::vector<double> largest(draws, -std::numeric_limits<double>::infinity());  // max over matrices of d
  for (std::size_t m = 0; m < matrices; ++m) {
    const Progress part = [&](std::size_t done, std::size_t) { progress(m * draws + done, matrices * draws); };
    const std::optional<NullDistribution> found = of(null, m, with_d, progress ? part : Progress{});
    auto& test = out.tests.emplace_back();
    out.null.resize(out.tests.size() * draws, std::numeric_limits<double>::quiet_NaN());
    if (!found) continue;
    std::ranges::copy(found->differences, out.null.end() - static_cast<std::ptrdiff_t>(draws));
    test.difference = found->difference;
    if (testable) test.p = labellings.p_value(found->difference, found->differences);
    if (!found->spread) continue;
    test.cohens_d = found->cohens_d;
    if (!testable) continue;
    test.cohens_d_p = found->cohens_ds.empty() ? test.p : labellings.p_value(found->cohens_d, found->cohens_ds);
    if (!with_d) continue;
    for (std::size_t i = 0; i < draws; ++i) largest[i] = std::max(largest[i], found->cohens_ds[i]);
  }
  for (auto& test : out.tests)
    if (test.cohens_d && testable) test.adjusted = with_d ? labellings.p_value(*test.cohens_d, largest) : test.p;
  return out;
}

}  // namespace
}  // namespace detail

PermutationTest permutation_test(std::span<const double> similarity, std::span<const int> task,
                                 std::span<const int> group, const LabellingOptions& options,
                                 const Progress& progress) {
  const std::size_t size = task.size() * task.size();
  if (size == 0 ? !similarity.empty() : similarity.size() % size != 0)
    throw invalid_argument("permutation_test: expected similarity matrices of ", task.size(), " x ", task.size(),
                           " (one task label per prompt), got ", similarity.size(), " values");
  const auto one = [&](const detail::NullSeparations& null, std::size_t m, bool with_d, const Progress& told) {
    return null(similarity.subspan(m * size, size), with_d, told);
  };
  return detail::test_each(size == 0 ? 0 : similarity.size() / size, one, task, group, options, progress);
}

PermutationTest layer_permutation_test(const SignatureView& set, std::span<const int> task, std::span<const int> group,
                                       const LabellingOptions& options, const Progress& progress) {
  LayerSimilarities layers(set);
  const bool many = task.size() > 4 * set.experts;  // then sums of rows are less to add up than pairs
  const auto one = [&](const detail::NullSeparations& null, std::size_t layer, bool with_d,
                       const Progress& told) -> std::optional<detail::NullDistribution> {
    if (many && set.complete(layer, 1)) return null(set, layer, layers(layer), with_d, told);
    return null(layers(layer), with_d, told);
  };
  return detail::test_each(set.layers, one, task, group, options, progress);
}

}  // namespace routesig
