// The decoder stack: the rows of one forward step in, hidden states out. Rows of many sequences lie packed in one
// matrix; only attention knows where one ends and the next begins.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "attention.hpp"
#include "rotated.hpp"
#include "routesig/recorder.hpp"
#include "weights.hpp"

namespace routesig::olmoe {

// The rows of one forward step.
struct Step {
  std::vector<std::int32_t> sequence, position, token;  // [rows]
  std::vector<TokenType> type;                          // [rows]
  std::vector<Segment> segments;                        // whole sequences; empty: row i continues slot i of the cache

  void add(std::int32_t of_sequence, std::int32_t at_position, std::int32_t id, TokenType kind);
  [[nodiscard]] StepRows rows() const {
    return {.sequence = sequence, .position = position, .token = token, .type = type};
  }
};

struct Pass {
  KeyValueCache* cache = nullptr;       // null: nothing will be continued
  RoutingRecorder* recorder = nullptr;  // null: nobody listens
  RotatedPass rotated{};                // routers that are only heard
  bool hidden_wanted = true;            // false: stop at the last layer's router
};

// Hidden states before the final norm, [rows, D]; undefined where they are not wanted.
[[nodiscard]] at::Tensor run_layers(const OlmoeConfig& config, const Weights& weights, const Step& step,
                                    const Pass& pass);

// The final norm and the head: [rows, D] -> [rows, V].
[[nodiscard]] at::Tensor apply_head(const OlmoeConfig& config, const Weights& weights, const at::Tensor& hidden);

}  // namespace routesig::olmoe
