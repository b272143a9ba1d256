#include "routesig/statistics/debiased.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "routesig/inner_products.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace detail {
namespace {

[[nodiscard]] DebiasedRows empty_debiased_rows(std::size_t prompts, std::size_t layers, std::size_t experts) {
  DebiasedRows out{.prompts = prompts, .layers = layers, .experts = experts};
  out.shares.resize(prompts * layers * experts);
  out.squared_norms.resize(prompts * layers);
  out.tokens.resize(prompts * layers);
  return out;
}

/// One layer of one trace: shares [experts] and the squared norm.
void debias_layer(const RoutingTrace& trace, int layer, const DebiasedOptions& options, std::span<double> shares,
                  double& squared_norm, std::uint64_t& count) {
  const std::vector<int> tokens = known_tokens(trace, layer, options.which);
  const std::size_t n = tokens.size();
  count = n;
  double common = 0.0, pairs = static_cast<double>(n) * static_cast<double>(n);  // ordered, each token with itself too
  for (const int token : tokens)
    for (const ExpertId e : trace.experts(layer, token)) shares[e] += 1.0;
  for (const double c : shares) common += c * c;
  const auto position = [&](std::size_t i) { return trace.columns().positions[static_cast<std::size_t>(tokens[i])]; };
  for (std::size_t i = 0; i < n; ++i) {
    if (i % 8 == 0) interruption_point();
    for (std::size_t j = i; j < n && position(j) - position(i) <= options.window; ++j) {
      const double times = i == j ? 1.0 : 2.0;
      common -= times * common_experts(trace.experts(layer, tokens[i]), trace.experts(layer, tokens[j]));
      pairs -= times;
    }
  }
  if (pairs > 0.0) squared_norm = common / pairs;
  for (double& c : shares) c /= std::max(1.0, static_cast<double>(n));
}

}  // namespace
}  // namespace detail

DebiasedRows debiased_rows(std::span<const RoutingTrace> traces, const DebiasedOptions& options) {
  if (options.window < 0) throw invalid_argument("debiased: expected a window of 0 or more, got ", options.window);
  if (traces.empty()) return {};
  const RoutingInfo& info = traces[0].info();
  auto out = detail::empty_debiased_rows(traces.size(), static_cast<std::size_t>(info.layers),
                                         static_cast<std::size_t>(info.experts));
  parallel_for(traces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (!traces[i].info().same_shape(info))
        throw invalid_argument("debiased: trace ", shown(traces[i].sequence().id), " has another routing shape");
      for (std::size_t l = 0; l < out.layers; ++l) {
        const std::size_t at = i * out.layers + l;
        detail::debias_layer(traces[i], static_cast<int>(l), options,
                             std::span(out.shares).subspan(at * out.experts, out.experts), out.squared_norms[at],
                             out.tokens[at]);
      }
    }
  });
  return out;
}

DebiasedRows debiased_rows(std::span<const std::uint64_t> counts, std::size_t prompts, std::size_t layers,
                           std::size_t experts, std::uint64_t top_k) {
  if (counts.size() != prompts * layers * experts || top_k == 0)
    throw invalid_argument("debiased: expected ", prompts * layers * experts, " counts and a top_k of 1 or more, got ",
                           counts.size(), " and ", top_k);
  auto out = detail::empty_debiased_rows(prompts, layers, experts);
  for (std::size_t at = 0; at < prompts * layers; ++at) {
    const auto row = counts.subspan(at * experts, experts);
    std::uint64_t total = 0;
    double squares = 0.0;
    for (const std::uint64_t c : row) {
      total += c;
      squares += static_cast<double>(c) * static_cast<double>(c);
    }
    if (total % top_k != 0)
      throw invalid_argument("debiased: expected layer totals that are multiples of top_k ", top_k, ", got ", total,
                             " in layer ", at % layers, " of prompt ", at / layers);
    out.tokens[at] = total / top_k;
    const auto t = static_cast<double>(out.tokens[at]);
    if (t > 1.0) out.squared_norms[at] = (squares - static_cast<double>(total)) / (t * (t - 1.0));
    for (std::size_t e = 0; e < experts; ++e)
      out.shares[at * experts + e] = static_cast<double>(row[e]) / std::max(1.0, t);
  }
  return out;
}

namespace detail {
namespace {

/// One layer of `debiased_layers`.
void debiased_layer(const DebiasedRows& a, const DebiasedRows* b, std::size_t layer, std::span<double> out) {
  const auto packed = [layer](const DebiasedRows& rows) {
    return PackedRows<double>(rows.prompts, rows.experts, [&rows, layer](std::size_t p, std::span<double> to) {
      if (!rows.known(p, layer)) return;
      const double scale = 1.0 / std::sqrt(rows.squared_norms[p * rows.layers + layer]);
      for (std::size_t e = 0; e < rows.experts; ++e)
        to[e] = scale * rows.shares[(p * rows.layers + layer) * rows.experts + e];
    });
  };
  const PackedRows<double> x = packed(a);
  if (b != nullptr) return inner_products(x, packed(*b), 1.0, out);
  inner_products(x, x, 1.0, out);
  for (std::size_t i = 0; i < a.prompts; ++i) out[i * a.prompts + i] = 0.0;
}

void check_comparable(const DebiasedRows& a, const DebiasedRows& b) {
  if (a.layers != b.layers || a.experts != b.experts)
    throw invalid_argument("debiased: expected ", a.layers, " layers x ", a.experts, " experts, got ", b.layers, " x ",
                           b.experts);
}

}  // namespace
}  // namespace detail

std::vector<double> debiased_layers(const DebiasedRows& a, const DebiasedRows* b) {
  const DebiasedRows& other = b != nullptr ? *b : a;
  detail::check_comparable(a, other);
  const std::size_t size = a.prompts * other.prompts;
  std::vector<double> out(a.layers * size);
  for (std::size_t l = 0; l < a.layers; ++l) detail::debiased_layer(a, b, l, std::span(out).subspan(l * size, size));
  return out;
}

std::vector<double> debiased_matrix(const DebiasedRows& a, const DebiasedRows* b) {
  const DebiasedRows& other = b != nullptr ? *b : a;
  detail::check_comparable(a, other);
  std::vector<double> out(a.prompts * other.prompts), layer(out.size());
  for (std::size_t l = 0; l < a.layers; ++l) {
    detail::debiased_layer(a, b, l, layer);
    std::ranges::transform(out, layer, out.begin(), std::plus<>());
  }
  for (double& x : out) x /= static_cast<double>(std::max<std::size_t>(a.layers, 1));
  return out;
}

namespace detail {
namespace {

/// Inner products and norm products of pairs of prompts, summed: with a prompt's row |x|^2 stands beside its estimated
/// squared norm, so that sums over pairs are squares of sums.
class DebiasedSums {
 public:
  explicit DebiasedSums(std::size_t experts) : row_(experts) {}

  void add(std::span<const double> shares, double squared_norm) {
    prompts_ += 1;
    for (std::size_t e = 0; e < row_.size(); ++e) {
      row_[e] += shares[e];
      own_ += shares[e] * shares[e];
    }
    norm_ += std::sqrt(squared_norm);
    own_norm_ += squared_norm;
  }
  void add(const DebiasedSums& other) {
    prompts_ += other.prompts_;
    for (std::size_t e = 0; e < row_.size(); ++e) row_[e] += other.row_[e];
    own_ += other.own_;
    norm_ += other.norm_;
    own_norm_ += other.own_norm_;
  }
  [[nodiscard]] std::size_t pairs() const noexcept { return prompts_ * (prompts_ - (prompts_ > 0 ? 1 : 0)) / 2; }
  [[nodiscard]] double inner() const noexcept {
    double sum = -own_;
    for (const double x : row_) sum += x * x;
    return sum / 2.0;
  }
  [[nodiscard]] double norms() const noexcept { return (norm_ * norm_ - own_norm_) / 2.0; }

 private:
  std::size_t prompts_ = 0;
  std::vector<double> row_;
  double own_ = 0.0, norm_ = 0.0, own_norm_ = 0.0;
};

/// The means of one layer. A sum over a unit's prompts, taken from that over its task's, leaves pairs of two units.
[[nodiscard]] DebiasedMeans debiased_layer_means(const DebiasedRows& rows, const Units& units, std::size_t layer) {
  std::map<int, DebiasedSums> tasks;
  DebiasedSums all(rows.experts), of_unit(rows.experts);
  DebiasedMeans means;
  double inner = 0.0, norms = 0.0;  // within: of one task less of one unit
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    of_unit = DebiasedSums(rows.experts);
    for (const std::size_t i : units.members(unit))
      if (rows.known(i, layer))
        of_unit.add(std::span(rows.shares).subspan((i * rows.layers + layer) * rows.experts, rows.experts),
                    rows.squared_norms[i * rows.layers + layer]);
    tasks.try_emplace(units.task()[unit], rows.experts).first->second.add(of_unit);
    means.within_pairs -= of_unit.pairs();  // wraps around until the task's are added
    inner -= of_unit.inner();
    norms -= of_unit.norms();
  }
  double same_inner = 0.0, same_norms = 0.0;
  std::size_t same_pairs = 0;
  for (const auto& [name, sums] : tasks) {
    same_pairs += sums.pairs();
    same_inner += sums.inner();
    same_norms += sums.norms();
    all.add(sums);
  }
  means.within_pairs += same_pairs;
  means.across_pairs = all.pairs() - same_pairs;
  if (means.within_pairs > 0 && !units.short_task()) means.within = (same_inner + inner) / (same_norms + norms);
  if (means.across_pairs > 0) means.across = (all.inner() - same_inner) / (all.norms() - same_norms);
  return means;
}

}  // namespace
}  // namespace detail

DebiasedSeparation debiased_means(const DebiasedRows& rows, std::span<const int> task, std::span<const int> group) {
  if (task.size() != rows.prompts)
    throw invalid_argument("debiased: expected ", rows.prompts, " tasks, got ", task.size());
  const Units units(task, group);
  DebiasedSeparation out;
  out.layers.reserve(rows.layers);
  for (std::size_t l = 0; l < rows.layers; ++l) out.layers.push_back(detail::debiased_layer_means(rows, units, l));
  const auto mean = [&](std::optional<double> DebiasedMeans::* which) -> std::optional<double> {
    double sum = 0.0;
    for (const DebiasedMeans& layer : out.layers) {
      if (!(layer.*which)) return std::nullopt;
      sum += *(layer.*which) / static_cast<double>(out.layers.size());
    }
    return out.layers.empty() ? std::nullopt : std::optional(sum);
  };
  out.overall.within = mean(&DebiasedMeans::within);
  out.overall.across = mean(&DebiasedMeans::across);
  for (const DebiasedMeans& layer : out.layers) {  // pairs known in some layer
    out.overall.within_pairs = std::max(out.overall.within_pairs, layer.within_pairs);
    out.overall.across_pairs = std::max(out.overall.across_pairs, layer.across_pairs);
  }
  return out;
}

}  // namespace routesig
