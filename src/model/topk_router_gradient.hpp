// The gradient of a router's weights with respect to its logits. The choice of experts has none, nor has the bias.
#pragma once

#include <ATen/core/Tensor.h>

#include "routesig/topk.hpp"

namespace routesig {

// The loss by the logits [tokens, experts], in their dtype, from the loss by the weights and the chosen ids, both
// [tokens, k]. Differentiable itself.
[[nodiscard]] at::Tensor gradient_of_logits(const at::Tensor& by_weights, const at::Tensor& logits,
                                            const at::Tensor& ids, const RouterRule& rule);

}  // namespace routesig
