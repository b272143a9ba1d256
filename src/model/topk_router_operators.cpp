// torch.ops.routesig: the router as PyTorch's dispatcher knows it, so that models, torch.compile and graphs can call
// it.
#include "topk_router.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>

#include "topk_router_gradient.hpp"

namespace {

using routesig::RouterCall;
using routesig::RouterRule;
using routesig::RouterTensors;
using Result = std::tuple<at::Tensor, at::Tensor>;  // weights, ids
using MaybeTensor = std::optional<at::Tensor>;

// What does not fit an int is as wrong as what fits it barely.
int narrowed(std::int64_t value) {
  using Limits = std::numeric_limits<int>;
  return static_cast<int>(std::clamp<std::int64_t>(value, Limits::min(), Limits::max()));
}

RouterCall checked_call(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                        const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale) {
  RouterCall call{.logits = logits,
                  .top_k = k,
                  .rule = {.scoring = routesig::scoring_called(scoring),
                           .renormalize = renormalize,
                           .scale = static_cast<float>(scale),
                           .groups = narrowed(groups),
                           .kept_groups = narrowed(kept_groups)},
                  .bias = bias};
  routesig::check_call(call);
  return call;
}

Result topk_router_meta(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                        const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale) {
  const RouterTensors out =
      empty_result(checked_call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale));
  return {out.weights, out.ids};
}

Result topk_router(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                   const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale) {
  const RouterCall call = checked_call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale);
  const RouterTensors out = empty_result(call);
  route(call, out);
  return {out.weights, out.ids};
}

Result topk_router_record_meta(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                               const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale,
                               const at::Tensor& counts, const at::Tensor& trace) {
  const RouterCall call = checked_call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale);
  check_record(call, counts, trace);
  const RouterTensors out = empty_result(call);
  return {out.weights, out.ids};
}

Result topk_router_record(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                          const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale,
                          const at::Tensor& counts, const at::Tensor& trace) {
  const RouterCall call = checked_call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale);
  check_record(call, counts, trace);
  RouterTensors out = empty_result(call);
  out.counts = counts;
  out.trace = trace;
  route(call, out);
  return {out.weights, out.ids};
}

// The operation `name` below autograd: what its devices have registered.
template <typename Signature>
auto below_autograd(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

struct Differentiable : torch::autograd::Function<Differentiable> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static Tensors forward(Context* context, const at::Tensor& logits, std::int64_t k, const std::string& scoring,
                         bool renormalize, const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups,
                         double scale) {
    const at::AutoDispatchBelowADInplaceOrView below;
    static const auto operation = below_autograd<decltype(topk_router)>("routesig::topk_router");
    const auto [weights, ids] = operation.call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale);
    context->save_for_backward({logits, ids});
    context->mark_non_differentiable({ids});
    context->saved_data["scoring"] = scoring;
    context->saved_data["renormalize"] = renormalize;
    context->saved_data["scale"] = scale;
    return {weights, ids};
  }

  static Tensors backward(Context* context, const Tensors& by_results) {
    const Tensors saved = context->get_saved_variables();
    const RouterRule rule{.scoring = routesig::scoring_called(context->saved_data["scoring"].toStringRef()),
                          .renormalize = context->saved_data["renormalize"].toBool(),
                          .scale = static_cast<float>(context->saved_data["scale"].toDouble())};
    Tensors by_arguments(8);  // one for each argument of `forward`; those that are no tensors have none
    by_arguments.front() = gradient_of_logits(by_results[0], saved[0], saved[1], rule);
    return by_arguments;
  }
};

Result topk_router_autograd(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                            const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale) {
  const auto results =
      Differentiable::apply(logits, k, std::string(scoring), renormalize, bias, groups, kept_groups, scale);
  return {results[0], results[1]};
}

// What is recorded has no gradient; losing one in silence would be worse than refusing.
Result topk_router_record_autograd(const at::Tensor& logits, std::int64_t k, std::string_view scoring, bool renormalize,
                                   const MaybeTensor& bias, std::int64_t groups, std::int64_t kept_groups, double scale,
                                   const at::Tensor& counts, const at::Tensor& trace) {
  TORCH_CHECK_VALUE(!c10::GradMode::is_enabled() || !logits.requires_grad(),
                    "topk_router_record: expected logits without a gradient, got some that require one (record "
                    "logits.detach(), and take the weights from topk_router)");
  const at::AutoDispatchBelowADInplaceOrView below;
  static const auto operation = below_autograd<decltype(topk_router_record)>("routesig::topk_router_record");
  return operation.call(logits, k, scoring, renormalize, bias, groups, kept_groups, scale, counts, trace);
}

}  // namespace

TORCH_LIBRARY(routesig, m) {
  m.def(
      "topk_router(Tensor logits, int k, *, str scoring=\"softmax\", bool renormalize=False, Tensor? bias=None, "
      "int groups=1, int kept_groups=1, float scale=1.0) -> (Tensor weights, Tensor ids)",
      {at::Tag::pt2_compliant_tag});
  m.def(
      "topk_router_record(Tensor logits, int k, *, str scoring=\"softmax\", bool renormalize=False, "
      "Tensor? bias=None, int groups=1, int kept_groups=1, float scale=1.0, Tensor(a!) counts, Tensor(b!) trace) "
      "-> (Tensor weights, Tensor ids)",
      {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(routesig, CPU, m) {
  m.impl("topk_router", &topk_router);
  m.impl("topk_router_record", &topk_router_record);
}

TORCH_LIBRARY_IMPL(routesig, CUDA, m) {
  m.impl("topk_router", &topk_router);
  m.impl("topk_router_record", &topk_router_record);
}

TORCH_LIBRARY_IMPL(routesig, Meta, m) {
  m.impl("topk_router", &topk_router_meta);
  m.impl("topk_router_record", &topk_router_record_meta);
}

TORCH_LIBRARY_IMPL(routesig, Autograd, m) {
  m.impl("topk_router", &topk_router_autograd);
  m.impl("topk_router_record", &topk_router_record_autograd);
}
