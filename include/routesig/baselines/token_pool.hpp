/// \file token_pool.hpp
/// The tokens of all prompts in one pool, to be redistributed at random: whole tokens, all layers together.
///
///     const routesig::TokenPool pool(traces, {.tokens = routesig::TokenSet::prompt});
///     pool.redistribute(random, values);     // values [prompts, layers, experts]: every prompt has as many tokens as
///     before
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/trace.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

class TokenPool {
 public:
  /// Throws where `signatures` would.
  explicit TokenPool(std::span<const RoutingTrace> traces, const SignatureOptions& options = {})
      : observed_(signatures<double>(traces, options)) {
    if (traces.empty()) return;
    const auto top_k = static_cast<std::size_t>(traces[0].top_k());
    layers_ = static_cast<std::size_t>(observed_.layers);
    width_ = options.weighting == Weighting::top1 ? 1 : top_k;
    for (const RoutingTrace& trace : traces) {
      interruption_point();
      for (int token = 0; token < trace.tokens(); ++token)
        if (contains(options.tokens, trace.columns().types[static_cast<std::size_t>(token)]))
          add(trace, token, options.weighting == Weighting::gate);
    }
  }

  /// The signatures of the prompts as they are.
  [[nodiscard]] const SignatureSet<double>& observed() const noexcept { return observed_; }

  /// Redistributes the tokens: sums [prompts, layers, experts] of what a signature is made of before it is normalised.
  void redistribute(Random& random, std::span<double> sums) const {
    std::vector<std::uint32_t> order(tokens_);
    std::iota(order.begin(), order.end(), 0U);
    random.shuffle(std::span(order));
    std::ranges::fill(sums, 0.0);
    const auto experts = static_cast<std::size_t>(observed_.experts);
    auto next = order.begin();
    for (std::size_t prompt = 0; prompt < observed_.size(); ++prompt) {
      interruption_point();
      for (std::uint64_t t = 0; t < observed_.num_tokens[prompt]; ++t)
        add_token(*next++, sums.subspan(prompt * layers_ * experts, layers_ * experts));
    }
  }

 private:
  void add(const RoutingTrace& trace, int token, bool weighted) {
    ++tokens_;
    for (int layer = 0; layer < trace.layers(); ++layer) {
      const bool known = trace.state(layer, token) == RowState::known;
      for (std::size_t i = 0; i < width_; ++i) {
        experts_.push_back(known ? trace.experts(layer, token)[i] : kNoExpert);
        if (weighted) weights_.push_back(trace.weights(layer, token)[i]);
      }
    }
  }

  void add_token(std::size_t token, std::span<double> sums) const {
    const auto experts = static_cast<std::size_t>(observed_.experts);
    std::size_t cell = token * layers_ * width_;
    for (std::size_t layer = 0; layer < layers_; ++layer)
      for (std::size_t i = 0; i < width_; ++i, ++cell)
        if (experts_[cell] != kNoExpert)
          sums[layer * experts + experts_[cell]] += weights_.empty() ? 1.0 : static_cast<double>(weights_[cell]);
  }

  SignatureSet<double> observed_;
  std::size_t tokens_ = 0, layers_ = 0, width_ = 0;
  std::vector<ExpertId> experts_;  // [tokens, layers, width]; kNoExpert where unknown or left out
  std::vector<float> weights_;     // the same, or empty
};

}  // namespace routesig
