// CUDA's own refusals as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string_view>

#include "routesig/error.hpp"

namespace routesig::cuda {

// Throws std::runtime_error where CUDA refused; `what` names it: "topk: the launch failed".
inline void refuse(cudaError_t error, std::string_view what) {
  if (error != cudaSuccess) throw std::runtime_error(sentence(what, ": ", cudaGetErrorString(error)));
}

}  // namespace routesig::cuda
