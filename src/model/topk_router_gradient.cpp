#include "topk_router_gradient.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

namespace routesig {
namespace {

at::Tensor sum_of_row(const at::Tensor& values) { return values.sum(1, /*keepdim=*/true); }

// A softmax p with the gradient g of its values passes on p (g - sum(g p)).
at::Tensor through_softmax(const at::Tensor& g, const at::Tensor& p) { return p * (g - sum_of_row(g * p)); }

at::Tensor through_sigmoid(at::Tensor g, const at::Tensor& logits_of_chosen, bool renormalize) {
  const at::Tensor scores = at::sigmoid(logits_of_chosen);
  if (renormalize) {
    const at::Tensor sum = sum_of_row(scores), constant = sum == 0;  // 1 / k each there, whatever the logits
    const at::Tensor total = sum.masked_fill(constant, 1);
    g = ((g - sum_of_row(g * scores) / total) / total).masked_fill(constant, 0);
  }
  return g * scores * (1 - scores);
}

}  // namespace

at::Tensor gradient_of_logits(const at::Tensor& by_weights, const at::Tensor& logits, const at::Tensor& ids,
                              const RouterRule& rule) {
  const at::Tensor wide = logits.to(at::kFloat), zeros = at::zeros_like(wide);
  const at::Tensor g = by_weights * static_cast<double>(rule.scale);
  at::Tensor by_logits;
  if (rule.scoring == Scoring::sigmoid)
    by_logits = zeros.scatter(1, ids, through_sigmoid(g, wide.gather(1, ids), rule.renormalize));
  else if (rule.renormalize || rule.scoring == Scoring::softmax_of_chosen)  // renormalised, the same
    by_logits = zeros.scatter(1, ids, through_softmax(g, at::softmax(wide.gather(1, ids), 1)));
  else
    by_logits = through_softmax(zeros.scatter(1, ids, g), at::softmax(wide, 1));  // 0 for those not chosen
  return by_logits.to(logits.scalar_type());
}

}  // namespace routesig
