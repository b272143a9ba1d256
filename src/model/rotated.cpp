#include "rotated.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diagonal.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/sign.h>

#include <algorithm>
#include <tuple>

#include "routesig/random.hpp"

namespace routesig {

std::size_t RotatedRouters::size() const noexcept { return impl_->count; }

RoutingInfo RotatedRouters::info(std::size_t index) const {
  RoutingInfo info = impl_->info;
  info.model_name += sentence(" (rotated router ", index, ", seed ", impl_->seed, ')');
  info.model_sha256.clear();  // no file holds these weights
  return info;
}

namespace olmoe {
namespace {

at::Tensor gaussian(std::int64_t rows, std::int64_t columns, Random random) {
  at::Tensor drawn = at::empty({rows, columns}, at::kDouble);
  std::generate_n(drawn.mutable_data_ptr<double>(), drawn.numel(), [&] { return random.normal(); });
  return drawn;
}

// [rows, columns] with orthonormal columns, Haar-random: the signs make the decomposition unique (Mezzadri 2007).
at::Tensor orthonormal(std::int64_t rows, std::int64_t columns, const Random& random) {
  const auto [q, r] = at::linalg_qr(gaussian(rows, columns, random));
  return q * at::sign(at::diagonal(r)).unsqueeze(0);
}

}  // namespace

// W = R^T V^T with V [D, m] orthonormal, m = min(E, D). Q^T V is Haar-random wherever Q is, so W Q = R^T U^T with U
// drawn directly: E D m products instead of the D^3 of a whole rotation.
std::vector<at::Tensor> rotate_routers(const Weights& weights, std::size_t count, std::uint64_t seed) {
  std::vector<at::Tensor> rotated;
  for (std::size_t l = 0; l < weights.layers.size(); ++l) {
    const at::Tensor router = weights.layers[l].router.to(at::kCPU, at::kDouble);
    const at::Tensor r = std::get<1>(at::linalg_qr(router.t()));  // [m, E]
    std::vector<at::Tensor> of_layer;
    for (std::size_t i = 0; i < count; ++i) {
      const Random random(seed, stream(Draws::rotation, i * weights.layers.size() + l));
      of_layer.push_back(at::matmul(r.t(), orthonormal(router.size(1), r.size(0), random).t()));
    }
    rotated.push_back(at::cat(of_layer).to(weights.device(), weights.dtype()));
  }
  return rotated;
}

}  // namespace olmoe
}  // namespace routesig
