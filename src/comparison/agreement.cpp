#include "routesig/comparison/agreement.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>

#include "routesig/comparison/shared_tokens.hpp"
#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "routesig/routing.hpp"
#include "routesig/statistics/jensen_shannon.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

double load_divergence(std::span<const double> a, std::span<const double> b) {
  const auto shares = [](std::span<const double> load) {
    return normalized_layers<double>(load, static_cast<int>(load.size()));
  };
  return 1.0 - JensenShannon{}(shares(a), shares(b));
}

namespace detail {
namespace {

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

[[nodiscard]] Agreement no_agreement(const RoutingInfo& a, const RoutingInfo& b, std::size_t prompts) {
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

}  // namespace
}  // namespace detail

Agreement agreement(const TraceSet& a, const TraceSet& b, const SignatureOptions& options, const Progress& progress) {
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
