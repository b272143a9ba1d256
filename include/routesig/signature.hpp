/// \file signature.hpp
/// Routing signatures: per layer, the share of a prompt's routing that each expert receives [paper eq. 3].
///
///     const auto a = routesig::signature(traces[0]);                           // Signature<double>
///     const auto set = routesig::signatures(traces, {.tokens = routesig::TokenSet::prompt});
///     const double share = a(/*layer=*/3, /*expert=*/17);
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/recorder_state.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// Which tokens of a prompt count.
enum class TokenSet : std::uint8_t { all, prompt, generation };

/// What a selected expert receives: 1; the weight that the model applied; 1 for the best expert of a row alone.
enum class Weighting : std::uint8_t { count, gate, top1 };

[[nodiscard]] constexpr bool contains(TokenSet set, TokenType type) noexcept {
  return set == TokenSet::all || (set == TokenSet::prompt) == (type == TokenType::prompt);
}

struct SignatureOptions {
  TokenSet tokens = TokenSet::all;
  Weighting weighting = Weighting::count;
  bool drop_invalid = false;  ///< leave impossible rows out (counted) instead of refusing them
};

/// One prompt's signature: [layers, experts], each layer summing to 1, or all zero where no token was routed.
template <std::floating_point Scalar = double>
struct Signature {
  int layers = 0;
  int experts = 0;
  std::vector<Scalar> values{};         ///< [layers, experts]
  std::vector<std::uint64_t> counts{};  ///< [layers, experts] rows that chose the expert; empty for gate weighting
  std::uint64_t num_tokens = 0;         ///< tokens of the chosen set
  std::uint64_t unknown_rows = 0;       ///< rows skipped because no routing is known
  std::uint64_t dropped_rows = 0;       ///< impossible rows left out by drop_invalid
  std::uint64_t nonfinite_rows = 0;     ///< rows whose router logits were not finite; of a trace: of all its tokens

  [[nodiscard]] std::span<const Scalar> layer(int index) const noexcept {
    return std::span(values).subspan(static_cast<std::size_t>(index) * static_cast<std::size_t>(experts),
                                     static_cast<std::size_t>(experts));
  }
  [[nodiscard]] Scalar operator()(int layer_index, int expert) const noexcept {
    return layer(layer_index)[static_cast<std::size_t>(expert)];
  }
};

/// Whether a row of shares or counts is that of no token at all: then nothing is known of the layer.
[[nodiscard]] inline bool empty_row(std::span<const double> row) noexcept {
  return std::ranges::all_of(row, [](double x) { return x == 0.0; });
}

/// Divides every layer of `sums` [layers, experts] by its total; a layer without any stays zero.
template <std::floating_point Scalar = double, typename Sum>
[[nodiscard]] std::vector<Scalar> normalized_layers(std::span<const Sum> sums, int experts) {
  std::vector<Scalar> values(sums.size());
  const auto width = static_cast<std::size_t>(experts);
  for (std::size_t begin = 0; begin < sums.size(); begin += width) {
    double total = 0.0;
    for (const Sum sum : sums.subspan(begin, width)) total += static_cast<double>(sum);
    if (total > 0.0)
      for (std::size_t e = begin; e < begin + width; ++e)
        values[e] = static_cast<Scalar>(static_cast<double>(sums[e]) / total);
  }
  return values;
}

namespace detail {

[[nodiscard]] inline std::invalid_argument impossible_row(const RoutingTrace& trace, int layer, int token) {
  std::string ids;
  for (const ExpertId e : trace.experts(layer, token)) ids += (ids.empty() ? "" : ", ") + std::to_string(e);
  return invalid_argument("signature: expected ", trace.top_k(), " distinct experts below ", trace.info().experts,
                          ", got [", ids, "] in layer ", layer, ", token ", token, " (trace ",
                          shown(trace.sequence().id), "; drop_invalid leaves such rows out)");
}

inline void check_weighting(const RoutingTrace& trace, Weighting weighting) {
  if (weighting == Weighting::gate && trace.columns().weights.empty() && trace.tokens() > 0)
    throw invalid_argument("signature: gate weighting needs recorded weights, trace ", shown(trace.sequence().id),
                           " has none (record with weights=True)");
  if (weighting == Weighting::top1 && !trace.info().ranked)
    throw invalid_argument("signature: top1 weighting needs the rank order of experts, which is unknown for trace ",
                           shown(trace.sequence().id));
}

}  // namespace detail

/// The signature of one trace. Throws std::invalid_argument on impossible rows (unless `drop_invalid`), on gate
/// weighting without weights or with negative ones, and on top-1 weighting where the rank order is unknown.
template <std::floating_point Scalar = double>
[[nodiscard]] Signature<Scalar> signature(const RoutingTrace& trace, const SignatureOptions& options = {}) {
  detail::check_weighting(trace, options.weighting);
  const auto cells = static_cast<std::size_t>(trace.layers()) * static_cast<std::size_t>(trace.info().experts);
  Signature<Scalar> out{
      .layers = trace.layers(), .experts = trace.info().experts, .nonfinite_rows = trace.columns().nonfinite_rows};
  std::vector<std::uint64_t> counts(cells);
  std::vector<double> gates(options.weighting == Weighting::gate ? cells : 0);

  for (int token = 0; token < trace.tokens(); ++token) {
    if (token % 1024 == 0) interruption_point();
    if (!contains(options.tokens, trace.columns().types[static_cast<std::size_t>(token)])) continue;
    ++out.num_tokens;
    for (int layer = 0; layer < trace.layers(); ++layer) {
      const RowState state = trace.state(layer, token);
      if (state == RowState::impossible && !options.drop_invalid) throw detail::impossible_row(trace, layer, token);
      out.unknown_rows += state == RowState::unknown ? 1 : 0;
      out.dropped_rows += state == RowState::impossible ? 1 : 0;
      if (state != RowState::known) continue;
      const auto row = trace.experts(layer, token);
      const auto base = static_cast<std::size_t>(layer) * static_cast<std::size_t>(out.experts);
      if (options.weighting == Weighting::gate) {
        const auto weights = trace.weights(layer, token);
        for (std::size_t i = 0; i < row.size(); ++i) {
          if (weights[i] < 0.0F)  // finite they are, or the row would not be known
            throw invalid_argument("signature: expected weights of 0 or more, got ", weights[i], " in layer ", layer,
                                   ", token ", token, " (trace ", shown(trace.sequence().id), ")");
          gates[base + row[i]] += static_cast<double>(weights[i]);
        }
      } else {
        const auto kept = options.weighting == Weighting::top1 ? row.first(1) : row;
        for (const ExpertId expert : kept) ++counts[base + expert];
      }
    }
  }
  if (options.weighting == Weighting::gate) {
    out.values = normalized_layers<Scalar>(std::span<const double>(gates), out.experts);
  } else {
    out.values = normalized_layers<Scalar>(std::span<const std::uint64_t>(counts), out.experts);
    out.counts = std::move(counts);
  }
  return out;
}

/// Signatures of many prompts, side by side.
template <std::floating_point Scalar = double>
struct SignatureSet {
  int layers = 0;
  int experts = 0;
  std::vector<Scalar> values{};             ///< [prompts, layers, experts]
  std::vector<std::uint64_t> counts{};      ///< [prompts, layers, experts], or empty for gate weighting
  std::vector<std::uint64_t> num_tokens{};  ///< [prompts]
  std::uint64_t unknown_rows = 0;
  std::uint64_t dropped_rows = 0;

  [[nodiscard]] std::size_t size() const noexcept { return num_tokens.size(); }
};

/// The signature of every trace of the set.
template <std::floating_point Scalar = double>
[[nodiscard]] SignatureSet<Scalar> signatures(std::span<const RoutingTrace> traces,
                                              const SignatureOptions& options = {}) {
  SignatureSet<Scalar> set;
  if (traces.empty()) return set;
  set.layers = traces[0].layers();
  set.experts = traces[0].info().experts;
  const auto cells = static_cast<std::size_t>(set.layers) * static_cast<std::size_t>(set.experts);
  set.values.resize(traces.size() * cells);
  if (options.weighting != Weighting::gate) set.counts.resize(traces.size() * cells);
  set.num_tokens.resize(traces.size());
  std::vector<std::array<std::uint64_t, 2>> skipped(traces.size());
  parallel_for(traces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (!traces[i].info().same_shape(traces[0].info()))
        throw invalid_argument("signatures: trace ", shown(traces[i].sequence().id), " has another routing shape");
      const auto one = signature<Scalar>(traces[i], options);
      const auto at = static_cast<std::ptrdiff_t>(i * cells);
      std::ranges::copy(one.values, set.values.begin() + at);
      std::ranges::copy(one.counts, set.counts.begin() + (one.counts.empty() ? 0 : at));
      set.num_tokens[i] = one.num_tokens;
      skipped[i] = {one.unknown_rows, one.dropped_rows};
    }
  });
  for (const auto& [unknown, dropped] : skipped) {
    set.unknown_rows += unknown;
    set.dropped_rows += dropped;
  }
  return set;
}

template <std::floating_point Scalar = double>
[[nodiscard]] SignatureSet<Scalar> signatures(const TraceSet& traces, const SignatureOptions& options = {}) {
  SignatureSet<Scalar> set = signatures<Scalar>(traces.traces(), options);
  if (traces.empty() && traces.info() != nullptr) {
    set.layers = traces.info()->layers;
    set.experts = traces.info()->experts;
  }
  return set;
}

/// Counts experts while a model runs and keeps nothing else: O(layers x experts) memory a prompt however long the text.
class SignatureRecorder final : public RoutingRecorder {
 public:
  explicit SignatureRecorder(TokenSet tokens = TokenSet::all) : tokens_(tokens) {}

  /// The signatures of the last run, in the order of their sequences' numbers.
  [[nodiscard]] std::vector<Signature<double>> signatures() const {
    std::vector<Signature<double>> all;
    for (const auto& [sequence, counted] : counted_) {
      all.push_back(counted);
      all.back().values =
          normalized_layers<double>(std::span<const std::uint64_t>(all.back().counts), all.back().experts);
    }
    return all;
  }

  void begin(const RoutingInfo& info) override {
    state_.begin(info);
    counted_.clear();
  }
  void begin_sequence(int sequence, const SequenceInfo& info) override {
    const RoutingInfo& shape = state_.info();
    Signature<double> empty{.layers = shape.layers, .experts = shape.experts};
    empty.counts.resize(static_cast<std::size_t>(shape.layers) * static_cast<std::size_t>(shape.experts));
    Signature<double>*& counted = state_.begin_sequence(sequence, info, nullptr);
    counted = &counted_.insert_or_assign(sequence, std::move(empty)).first->second;
  }
  void step(const StepRows& rows) override {
    state_.step(rows);
    rows_.clear();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      Signature<double>& signature = **state_.rows()[i];
      const bool counts = contains(tokens_, rows.type[i]);
      signature.num_tokens += counts ? 1 : 0;
      rows_.push_back(counts ? &signature : nullptr);
    }
  }
  void layer(const LayerRouting& routing) override {
    state_.layer(routing);
    const auto k = static_cast<std::size_t>(state_.info().top_k);
    const auto base = static_cast<std::size_t>(routing.layer) * static_cast<std::size_t>(state_.info().experts);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i] == nullptr) continue;
      rows_[i]->nonfinite_rows += state_.heard(i) == RowHeard::nonfinite ? 1U : 0U;
      if (state_.heard(i) != RowHeard::known)
        ++rows_[i]->unknown_rows;
      else
        for (const ExpertId expert : routing.experts.subspan(i * k, k)) ++rows_[i]->counts[base + expert];
    }
  }
  void end_sequence(int sequence) override { state_.end_sequence(sequence); }
  void end() override {
    state_.end([](int, Signature<double>*) {});
  }

 private:
  TokenSet tokens_;
  RecorderState<Signature<double>*> state_{"SignatureRecorder", {}};
  std::map<int, Signature<double>> counted_;  // std::map: addresses stay when a sequence is added
  std::vector<Signature<double>*> rows_;      // of the step under way; null: its token does not count
};

}  // namespace routesig
